import type { Batch, BodiesWanted, Committed, Status, Vote } from '../../protocol/messages.ts'
import type { Digest, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { Answers } from './answers.ts'
import { hasBit } from './bitmap.ts'
import { Certificate } from './certificate.ts'
import type { Checkpoints } from './checkpoint.ts'
import { type CoreConfig, peersOf } from './config.ts'
import type { CheckId } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import { PeerProgress } from './peer-progress.ts'
import type { Slot } from './slot.ts'
import type { StateSource } from './state-source.ts'
import { statusOf, type ViewFacts } from './status.ts'
import type { Waiting } from './waiting.ts'

/** How far above what is executed here committed batches are taken from others. */
const AHEAD_MAX = 512
/** Proofs of one peer that may fail in a tick; then only its word counts. */
const FAILED_PROOFS_MAX = 16
/** So far behind is more than messages in flight explain: ask at once, not at the next tick. */
const BEHIND_MIN = 8
/** A source that brings fewer batches in a tick, with more to come, is slow: another may do better. */
const BROUGHT_MIN = 4
/** Ticks in a row that nobody can serve what is missing, before state is fetched instead. */
const BEYOND_TICKS = 3
/** So often a late replica that nobody proves anything to gives the primary T again: words of f+1 would do, too. */
const EXCUSES_MAX = 4

type Position = { readonly executed: Seq; readonly frontier: Seq }

/**
 * [CP5] Catch-up by messages: says what this replica has, asks for what it lacks, and takes what is proven. Committed
 * batches come from one peer at a time, which is replaced when nothing arrives; each is proven by q COMMIT signatures
 * or by the own word of f+1 replicas.
 */
export class CatchUp {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #views: ViewFacts
  readonly #checkpoints: Checkpoints
  readonly #answers: Answers
  readonly #source: Pick<StateSource, 'servedFrom'>
  readonly #waiting: Waiting
  readonly #peers: readonly ReplicaId[]
  readonly #progress: PeerProgress
  /** What is committed at the newest executed seqs, also below h, as far as it is known. */
  readonly #committed = new Map<Seq, Digest>()
  /** Replicas' own words for what is committed, by seq, within AHEAD_MAX. */
  readonly #words = new Map<Seq, Certificate>()
  readonly #pending = new Map<CheckId, { readonly from: ReplicaId; readonly message: Committed }>()
  /** How many proofs of each peer did not hold since the last tick. */
  readonly #failed = new Map<ReplicaId, number>()
  /** Seqs whose proof is being verified. */
  readonly #checking = new Set<Seq>()
  #asked: BodiesWanted | null = null
  /** The last entry of the answer is still to come. */
  #answering = false
  #wordsWanted = false
  /** The peer that is asked for bodies. */
  #giver = 0
  /** Batches that it brought since the last tick. */
  #brought = 0
  /** What was asked when the last tick came. */
  #askedAtTick: BodiesWanted | null = null
  #beyondTicks = 0
  /** Of the last tick, to see whether anything moved. */
  #before: Position
  /** How often the primary of a view was excused since anything moved. */
  #excused: { readonly view: View; readonly at: Position; readonly times: number } | null = null
  #idleMs = 0
  /** Nothing was committed or executed between the last two ticks. */
  #isStalled = false

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    log: SlotLog
    execution: Execution
    views: ViewFacts
    checkpoints: Checkpoints
    answers: Answers
    source: Pick<StateSource, 'servedFrom'>
    waiting: Waiting
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#log = args.log
    this.#execution = args.execution
    this.#views = args.views
    this.#checkpoints = args.checkpoints
    this.#answers = args.answers
    this.#source = args.source
    this.#waiting = args.waiting
    this.#peers = peersOf(args.config)
    this.#progress = new PeerProgress(args.config)
    this.#giver = args.config.self
    this.#before = this.#position()
  }

  // --- asking

  start(): void {
    this.#sendStatus(this.#peers)
    this.#outbox.effect({ type: 'set-timer', timer: 'status', ms: this.#config.statusBusyMs })
  }

  onSessionUp(peer: PrincipalId): void {
    const replica = this.#peers.find((id) => id === peer)
    if (replica !== undefined) this.#sendStatus([replica])
  }

  onSessionDown(peer: PrincipalId): void {
    const replica = this.#peers.find((id) => id === peer)
    if (replica !== undefined) this.#progress.onSessionDown(replica)
  }

  /** While something is stuck STATUS goes out at every tick, else once in statusIdleMs. */
  onTimeout(): void {
    const now = this.#position()
    const moved = !isSame(now, this.#before)
    this.#before = now
    this.#isStalled = !moved
    this.#idleMs += this.#config.statusBusyMs
    this.#failed.clear()
    this.#progress.onTick()
    const replaced = this.#judgeGiver()
    const stuck = (!moved && this.#incomplete()) || this.#views.isPending
    if (stuck || this.#idleMs >= this.#config.statusIdleMs) {
      this.#idleMs = 0
      this.#sendStatus(this.#peers)
    } else if (replaced) this.#askOn()
    this.#brought = 0
    this.#askedAtTick = this.#asked
    this.#beyondTicks = this.#isUnserved() ? this.#beyondTicks + 1 : 0
    this.#outbox.effect({ type: 'set-timer', timer: 'status', ms: this.#config.statusBusyMs })
  }

  /**
   * [NC8] T is over. Whether this replica is late, not the primary: f+1 are ahead. When they bring what proves nothing, again
   * and again, they may have what none of them can prove, and a new view must decide it.
   */
  excusesPrimary(): boolean {
    if (!this.isBehind) return false
    if (!this.#wordsWanted) return true
    const { view } = this.#views
    const at = this.#position()
    const before = this.#excused
    const isStuck = before !== null && before.view === view && isSame(before.at, at)
    this.#excused = { view, at, times: isStuck ? before.times + 1 : 1 }
    return this.#excused.times <= EXCUSES_MAX
  }

  #position(): Position {
    return { executed: this.#execution.lastExecuted, frontier: this.#execution.frontier }
  }

  /** f+1 peers executed beyond what is committed here without a gap. */
  get isBehind(): boolean {
    return this.#progress.target > this.#execution.frontier
  }

  /**
   * Proofs are asked for of f+1 that are ahead; and where nothing moves of a single one, too: it may be the only one that
   * got the last COMMITs, while the votes for them are of a view that was given up, or of replicas that forgot them.
   */
  get #mayAsk(): boolean {
    return this.isBehind || (this.#isStalled && this.#progress.furthest > this.#execution.frontier)
  }

  /** [CP4] This replica is behind, and nobody's log reaches down to what it lacks: state must be fetched. */
  get isBeyondMessages(): boolean {
    return this.#beyondTicks >= BEYOND_TICKS && this.#isUnserved()
  }

  #isUnserved(): boolean {
    const { frontier, redoing } = this.#execution
    if (redoing || !this.isBehind) return false
    // Of f or fewer that say they can, none need be correct.
    const able = this.#peers.filter((peer) => this.#progress.canServe(peer, frontier))
    return able.length < this.#config.quorum.weak
  }

  /**
   * Something is accepted here and not committed, or others are ahead. So they may be where a request waits: what lies
   * above this replica's window was dropped, and without their word the primary would be blamed [NC8].
   */
  #incomplete(): boolean {
    if (this.#mayAsk) return true
    for (const { voting, committed } of this.#log.all()) {
      if (voting.accepted !== null && committed === null) return true
    }
    return this.#waiting.oldest(this.#execution.frontier) !== null
  }

  /** Who was asked a whole tick ago and brought nothing, or drips, is replaced by the next. */
  #judgeGiver(): boolean {
    if (this.#askedAtTick === null || this.#asked === null || !this.#mayAsk) return false
    if (this.#brought === 0) this.#progress.onSilent(this.#asked.source)
    else if (this.#brought >= BROUGHT_MIN || !this.#answering) return false
    this.#asked = null
    this.#chooseGiver()
    return true
  }

  /** The next peer in turn that can serve; this replica itself: nobody can. */
  #chooseGiver(): void {
    const { n } = this.#config.quorum
    for (let step = 1; step <= n; step++) {
      const candidate = ((this.#giver + step) % n) as ReplicaId
      if (candidate === this.#config.self) continue
      if (!this.#progress.canServe(candidate, this.#execution.frontier)) continue
      this.#giver = candidate
      return
    }
    this.#giver = this.#config.self
  }

  #wanted(): BodiesWanted | null {
    const { frontier, lastExecuted, redoing, isPaused } = this.#execution
    if (redoing || isPaused || !this.#mayAsk || frontier - lastExecuted >= AHEAD_MAX / 2) return null
    if (!this.#progress.canServe(this.#giver as ReplicaId, frontier)) this.#chooseGiver()
    return this.#giver === this.#config.self ? null : { source: this.#giver as ReplicaId, after: frontier }
  }

  #sendStatus(to: readonly ReplicaId[]): void {
    const wanted = this.#wanted()
    this.#asked = wanted
    this.#answering = wanted !== null
    this.#outbox.send(to, this.#status(wanted))
  }

  #status(bodies: BodiesWanted | null): Status {
    const parts = {
      log: this.#log,
      execution: this.#execution,
      checkpoints: this.#checkpoints,
      views: this.#views,
      source: this.#source,
    }
    return statusOf(parts, { bodies, wordsWanted: this.#wordsWanted })
  }

  /** Asks at once for what follows, unless that was asked already. */
  #askOn(): void {
    const wanted = this.#wanted()
    if (wanted === null || wanted.after === this.#asked?.after) return
    this.#asked = wanted
    this.#answering = true
    this.#outbox.send([wanted.source], this.#status(wanted))
  }

  // --- taking

  onCommitted(from: PrincipalId, message: Committed): void {
    const replica = this.#peers.find((id) => id === from)
    if (replica === undefined) return this.#outbox.reject(from, 'not-own-vote')
    const { seq, digest, batch } = message
    const known = this.#committedAt(seq)
    if (this.#execution.has(seq) && (known ?? digest) === digest) return this.#afterEntry(replica, message)
    if (seq > this.#execution.lastExecuted + AHEAD_MAX) return this.#outbox.reject(from, 'outside-window')
    if (batch !== null && batch.digest !== digest) return this.#outbox.reject(from, 'wrong-digest')
    if (known !== undefined && known !== digest) this.#outbox.reject(from, 'conflicting')
    const words = this.#wordsOn(seq)
    words.add({ replica, digest, signature: EMPTY })
    if (words.count(digest) < this.#config.quorum.weak) return this.#checkProof(replica, message)
    this.#onProven(replica, message, 'words')
    this.#afterEntry(replica, message)
  }

  /** What is committed at `seq` as far as this replica remembers: the window, and as much again below it. */
  #committedAt(seq: Seq): Digest | undefined {
    return this.#log.get(seq)?.committed?.digest ?? this.#committed.get(seq)
  }

  #wordsOn(seq: Seq): Certificate {
    let words = this.#words.get(seq)
    if (words === undefined) {
      words = new Certificate()
      this.#words.set(seq, words)
    }
    return words
  }

  #checkProof(from: ReplicaId, message: Committed): void {
    const { view, seq, digest, commits, batch } = message
    if (batch === null || this.#checking.has(seq)) return
    if ((this.#failed.get(from) ?? 0) >= FAILED_PROOFS_MAX) return this.#afterEntry(from, message)
    const { quorum, n } = this.#config.quorum
    const voters = new Map(commits.filter(({ replica }) => replica < n).map((vote) => [vote.replica, vote]))
    if (voters.size < quorum) {
      this.#wordsWanted = true
      return this.#afterEntry(from, message)
    }
    const claims = [...voters.values()].slice(0, quorum).map(({ replica, signature }) => ({
      statement: { type: 'commit' as const, view, seq, signer: replica, digests: [digest] },
      signature,
    }))
    this.#checking.add(seq)
    this.#pending.set(this.#outbox.verify(claims), { from, message })
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    const { from, message } = pending
    this.#checking.delete(message.seq)
    if (valid.every((verdict) => verdict)) this.#onProven(from, message, 'proof')
    else {
      // COMMITs were logged unverified [NC4]: an honest source may hold a liar's bad one, so this proves nothing
      // against it; but what it can make this replica verify is bounded.
      this.#failed.set(from, (this.#failed.get(from) ?? 0) + 1)
      this.#wordsWanted = true
    }
    this.#afterEntry(from, message)
    return true
  }

  #onProven(from: ReplicaId, message: Committed, how: 'proof' | 'words'): void {
    const { seq, digest, view, commits } = message
    const known = this.#committedAt(seq)
    if (known !== undefined && known !== digest) {
      // [VC6] Also at or below h: what is executed here is not what the others executed.
      const detail = `committed as ${known} here and as ${digest} by replicas that prove it`
      return this.#outbox.effect({ type: 'halt', fault: { code: 'conflicting-commit', seq, detail } })
    }
    const slot = this.#log.contains(seq) ? this.#log.at(seq) : undefined
    const batch = message.batch ?? slot?.body(digest) ?? null
    if (batch === null || this.#execution.has(seq)) return
    this.#progress.onBrought(from)
    if (from === this.#asked?.source) this.#brought += 1
    this.#keepBody(slot, { seq, batch })
    const proof: readonly Vote[] = how === 'proof' ? commits : []
    const at = this.#outbox.persist(
      { kind: 'committed', seq, view, digest, commits: proof },
      { awaited: true },
    )
    if (slot !== undefined) slot.committed = { view, digest }
    this.#words.delete(seq)
    this.#outbox.observe({ kind: 'committed', seq, digest, how })
    this.#execution.commit(seq, { batch, at })
  }

  /** A body that is kept is in the log already. */
  #keepBody(slot: Slot | undefined, { seq, batch }: { readonly seq: Seq; readonly batch: Batch }): void {
    if (slot?.body(batch.digest) !== undefined) return
    this.#outbox.persist({ kind: 'batch', seq, batch })
    slot?.keepBody(batch)
  }

  #afterEntry(from: ReplicaId, { last }: Committed): void {
    if (!last || from !== this.#asked?.source) return
    this.#answering = false
    this.#askOn()
  }

  onExecuted(): void {
    const { lastExecuted } = this.#execution
    this.#remember(lastExecuted)
    if (this.#asked === null) return
    if (!this.isBehind) {
      this.#asked = null
      this.#wordsWanted = false
      this.#outbox.observe({ kind: 'caught-up', seq: this.#execution.frontier })
    } else if (!this.#answering) this.#askOn()
  }

  /** Bounded: older words are of no more use, and who contradicts older batches is not answered any more. */
  #remember(executed: Seq): void {
    const digest = this.#log.get(executed)?.committed?.digest
    if (digest !== undefined) this.#committed.set(executed, digest)
    const oldest = executed - 2 * this.#log.window
    for (const seq of this.#committed.keys()) {
      if (seq > oldest) break
      this.#committed.delete(seq)
    }
    for (const seq of this.#words.keys()) if (seq <= oldest) this.#words.delete(seq)
  }

  // --- what others say

  onStatus(from: PrincipalId, status: Status, nowMs: number): void {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined) return this.#outbox.reject(from, 'not-own-vote')
    this.#progress.onStatus(peer, status)
    if (status.checkpoint !== null) this.#checkpoints.onCheckpoint(from, status.checkpoint)
    // What lies below h is not voted on again: only who asks gets it.
    const isLate =
      status.lastExecuted + BEHIND_MIN <= this.#execution.lastExecuted ||
      status.lastExecuted < this.#log.lowWaterMark
    // [NC4] Who is late must know who is ahead before it can ask.
    if (this.#answers.answer(peer, status, nowMs) && (isLate || this.#lacks(status))) this.#sendStatus([peer])
    if (this.#progress.target - this.#execution.frontier >= BEHIND_MIN) this.#askOn()
  }

  /** The peer accepted something that never came here, and cannot know that it is this replica's to ask. */
  #lacks(status: Status): boolean {
    for (let bit = 0; bit < status.accepted.length * 8; bit++) {
      const seq = (status.lowWaterMark + 1 + bit) as Seq
      if (!hasBit(status.accepted, bit) || !this.#log.contains(seq)) continue
      if (seq > this.#execution.frontier && this.#log.get(seq)?.voting.accepted == null) return true
    }
    return false
  }
}

const isSame = (one: Position, other: Position): boolean =>
  one.executed === other.executed && one.frontier === other.frontier

/** A word is said on the sender's channel, not signed. */
const EMPTY = new Uint8Array(0)
