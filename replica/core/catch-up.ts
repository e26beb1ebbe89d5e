import type { BodiesWanted, Committed, Status, Vote } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import type { Answers } from './answers.ts'
import { bitmapOf, hasBit, setBit } from './bitmap.ts'
import { Certificate } from './certificate.ts'
import type { Checkpoints } from './checkpoint.ts'
import { type CoreConfig, peersOf } from './config.ts'
import type { CheckId } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'

/** How far above what is executed here committed batches are taken from others. */
const AHEAD_MAX = 512
/** Proofs of one peer that may fail in a tick; then only its word counts. */
const FAILED_PROOFS_MAX = 16
/** So far behind is more than messages in flight explain: ask at once, not at the next tick. */
const BEHIND_MIN = 8

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
  readonly #normalCase: NormalCase
  readonly #checkpoints: Checkpoints
  readonly #answers: Answers
  readonly #peers: readonly ReplicaId[]
  /** What each peer last said it executed. */
  readonly #executedAt = new Map<ReplicaId, Seq>()
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
  #source = 0
  /** Of the last tick, to see whether anything moved. */
  #before: { readonly executed: Seq; readonly frontier: Seq }
  #idleMs = 0

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    log: SlotLog
    execution: Execution
    normalCase: NormalCase
    checkpoints: Checkpoints
    answers: Answers
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#log = args.log
    this.#execution = args.execution
    this.#normalCase = args.normalCase
    this.#checkpoints = args.checkpoints
    this.#answers = args.answers
    this.#peers = peersOf(args.config)
    this.#source = args.config.self
    this.#before = this.#progress()
  }

  // --- asking

  start(): void {
    this.#sendStatus(this.#peers)
    this.#arm()
  }

  onSessionUp(peer: PrincipalId): void {
    const replica = this.#peers.find((id) => id === peer)
    if (replica !== undefined) this.#sendStatus([replica])
  }

  /** While something is stuck STATUS goes out at every tick, else once in statusIdleMs. */
  onTimeout(): void {
    const now = this.#progress()
    const moved = now.executed !== this.#before.executed || now.frontier !== this.#before.frontier
    this.#before = now
    this.#idleMs += this.#config.statusBusyMs
    this.#failed.clear()
    const stuck = !moved && this.#incomplete()
    if (stuck) this.#replaceSource()
    if (stuck || this.#idleMs >= this.#config.statusIdleMs) {
      this.#idleMs = 0
      this.#sendStatus(this.#peers)
    }
    this.#arm()
  }

  #progress(): { readonly executed: Seq; readonly frontier: Seq } {
    return { executed: this.#execution.lastExecuted, frontier: this.#execution.frontier }
  }

  #arm(): void {
    this.#outbox.effect({ type: 'set-timer', timer: 'status', ms: this.#config.statusBusyMs })
  }

  /** Something is accepted here and not committed, or others are ahead. */
  #incomplete(): boolean {
    if (this.#target() > this.#execution.frontier) return true
    for (const slot of this.#log.all()) if (slot.accepted !== null && slot.committed === null) return true
    return false
  }

  /** At least one correct replica executed this far. */
  #target(): number {
    const claims = [...this.#executedAt.values()].sort((a, b) => b - a)
    return claims[this.#config.quorum.weak - 1] ?? 0
  }

  /** The next peer in turn that says it has more. */
  #replaceSource(): void {
    this.#asked = null
    for (let step = 1; step < this.#config.quorum.n; step++) {
      const candidate = ((this.#source + step) % this.#config.quorum.n) as ReplicaId
      if ((this.#executedAt.get(candidate) ?? 0) > this.#execution.frontier) {
        this.#source = candidate
        return
      }
    }
  }

  #wanted(): BodiesWanted | null {
    const { frontier, lastExecuted, redoing } = this.#execution
    if (redoing || this.#target() <= frontier || frontier - lastExecuted >= AHEAD_MAX / 2) return null
    if (this.#source === this.#config.self) this.#replaceSource()
    return this.#source === this.#config.self ? null : { source: this.#source as ReplicaId, after: frontier }
  }

  #sendStatus(to: readonly ReplicaId[]): void {
    const wanted = this.#wanted()
    this.#asked = wanted
    this.#answering = wanted !== null
    this.#outbox.send(to, this.#status(wanted))
  }

  #status(bodies: BodiesWanted | null): Status {
    const { lowWaterMark, window } = this.#log
    const accepted = bitmapOf(window)
    const prepared = bitmapOf(window)
    const committed = bitmapOf(window)
    for (const slot of this.#log.all()) {
      const bit = slot.seq - lowWaterMark - 1
      if (slot.accepted !== null) setBit(accepted, bit)
      if (slot.preparedAt !== null) setBit(prepared, bit)
      if (slot.committed !== null) setBit(committed, bit)
    }
    return {
      type: 'status',
      view: this.#normalCase.view,
      highestViewChange: this.#normalCase.view,
      lowWaterMark,
      lastExecuted: this.#execution.lastExecuted,
      accepted,
      prepared,
      committed,
      checkpoint: this.#checkpoints.newestOwn,
      bodies,
      wordsWanted: this.#wordsWanted,
    }
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
    if (this.#execution.has(seq) && !this.#contradicts(message)) return this.#afterEntry(message)
    if (seq > this.#execution.lastExecuted + AHEAD_MAX) return this.#outbox.reject(from, 'outside-window')
    if (batch !== null && batch.digest !== digest) return this.#outbox.reject(from, 'wrong-digest')
    const words = this.#wordsOn(seq)
    words.add({ replica, digest, signature: EMPTY })
    if (words.count(digest) < this.#config.quorum.weak) return this.#checkProof(replica, message)
    this.#onProven(message, 'words')
    this.#afterEntry(message)
  }

  /** [VC6] Says that another batch is committed than the one that is committed here. */
  #contradicts({ seq, digest }: Committed): boolean {
    return (this.#log.get(seq)?.committed?.digest ?? digest) !== digest
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
    if ((this.#failed.get(from) ?? 0) >= FAILED_PROOFS_MAX) return this.#afterEntry(message)
    const { quorum, n } = this.#config.quorum
    const voters = new Map(commits.filter(({ replica }) => replica < n).map((vote) => [vote.replica, vote]))
    if (voters.size < quorum) {
      this.#wordsWanted = true
      return this.#afterEntry(message)
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
    if (valid.every((verdict) => verdict)) this.#onProven(message, 'proof')
    else {
      // COMMITs were logged unverified [NC4]: an honest source may hold a liar's bad one, so this proves nothing
      // against it; but what it can make this replica verify is bounded.
      this.#failed.set(from, (this.#failed.get(from) ?? 0) + 1)
      this.#wordsWanted = true
    }
    this.#afterEntry(message)
    return true
  }

  #onProven(message: Committed, how: 'proof' | 'words'): void {
    const { seq, digest, view, commits } = message
    const slot = this.#log.contains(seq) ? this.#log.at(seq) : undefined
    if (slot?.committed != null && slot.committed.digest !== digest) {
      const detail = `committed as ${slot.committed.digest} here and as ${digest} by replicas that prove it`
      return this.#outbox.effect({ type: 'halt', fault: { code: 'conflicting-commit', seq, detail } })
    }
    const batch = message.batch ?? (slot?.accepted?.header.digest === digest ? slot.accepted.batch : null)
    if (batch === null || this.#execution.has(seq)) return
    if (slot?.accepted?.header.digest !== digest) this.#outbox.persist({ kind: 'batch', seq, batch })
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

  #afterEntry({ last }: Committed): void {
    if (!last) return
    this.#answering = false
    this.#askOn()
  }

  /** Words at or below what is executed are of no more use. */
  onExecuted(): void {
    const { lastExecuted } = this.#execution
    for (const seq of this.#words.keys()) if (seq <= lastExecuted) this.#words.delete(seq)
    if (this.#asked === null) return
    if (this.#execution.frontier >= this.#target()) {
      this.#asked = null
      this.#wordsWanted = false
      this.#outbox.observe({ kind: 'caught-up', seq: this.#execution.frontier })
    } else if (!this.#answering) this.#askOn()
  }

  // --- what others say

  onStatus(from: PrincipalId, status: Status, nowMs: number): void {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined) return this.#outbox.reject(from, 'not-own-vote')
    this.#executedAt.set(peer, status.lastExecuted)
    if (status.checkpoint !== null) this.#checkpoints.onCheckpoint(from, status.checkpoint)
    if (this.#answers.answer(peer, status, nowMs) && this.#lacks(status)) this.#sendStatus([peer])
    if (this.#target() - this.#execution.frontier >= BEHIND_MIN) this.#askOn()
  }

  /** The peer accepted something that never came here, and cannot know that it is this replica's to ask. */
  #lacks(status: Status): boolean {
    for (let bit = 0; bit < status.accepted.length * 8; bit++) {
      const seq = (status.lowWaterMark + 1 + bit) as Seq
      if (!hasBit(status.accepted, bit) || !this.#log.contains(seq)) continue
      if (seq > this.#execution.frontier && this.#log.get(seq)?.accepted == null) return true
    }
    return false
  }
}

/** A word is said on the sender's channel, not signed. */
const EMPTY = new Uint8Array(0)
