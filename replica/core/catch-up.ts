import type { Batch, BodiesWanted, Committed, Status, Vote } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import { Certificate } from './certificate.ts'
import type { Checkpoints } from './checkpoint.ts'
import { type CoreConfig, peersOf } from './config.ts'
import type { CheckId } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'
import type { CommittedEntry } from './vote-record.ts'

/** How far above what is executed here committed batches are taken from others. */
const AHEAD_MAX = 512
/** Bodies in one answer, and slots whose votes are sent again in one. */
const ANSWER_BYTES_MAX = 250_000
const ANSWER_SLOTS_MAX = 64
const WORDS_MAX = 128
/** Bodies that one peer gets in a period of statusBusyMs. */
const PERIOD_BYTES_MAX = 1_000_000
/** So far behind is more than messages in flight explain: ask at once, not at the next tick. */
const BEHIND_MIN = 8

/**
 * [CP5] Catch-up by messages. STATUS says what a replica has; the answer is what it lacks. Committed batches come from
 * one peer at a time, which is replaced when nothing arrives; each is proven by q COMMIT signatures or by the own
 * word of f+1 replicas.
 */
export class CatchUp {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #normalCase: NormalCase
  readonly #checkpoints: Checkpoints
  readonly #peers: readonly ReplicaId[]
  /** What each peer last said it executed. */
  readonly #executedAt = new Map<ReplicaId, Seq>()
  /** Replicas' own words for what is committed, by seq, within AHEAD_MAX. */
  readonly #words = new Map<Seq, Certificate>()
  readonly #pending = new Map<CheckId, Committed>()
  /** Peers whose answer is being read from the vote log. */
  readonly #reading = new Map<ReplicaId, { readonly bodies: boolean }>()
  /** When votes were last sent again to a peer, in the caller's milliseconds. */
  readonly #answeredAt = new Map<ReplicaId, number>()
  /** Bodies sent to a peer since then. */
  readonly #answeredBytes = new Map<ReplicaId, number>()
  #asked: BodiesWanted | null = null
  #wordsWanted = false
  #source = 0
  /** Of the last tick, to see whether anything moved. */
  #before = { executed: -1, frontier: -1 }
  #idleMs = 0

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    log: SlotLog
    execution: Execution
    normalCase: NormalCase
    checkpoints: Checkpoints
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#log = args.log
    this.#execution = args.execution
    this.#normalCase = args.normalCase
    this.#checkpoints = args.checkpoints
    this.#peers = peersOf(args.config)
    this.#source = args.config.self
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
    const { lastExecuted: executed, frontier } = this.#execution
    const moved = executed !== this.#before.executed || frontier !== this.#before.frontier
    this.#before = { executed, frontier }
    this.#idleMs += this.#config.statusBusyMs
    const stuck = !moved && this.#incomplete()
    if (stuck) this.#replaceSource()
    if (stuck || this.#idleMs >= this.#config.statusIdleMs) {
      this.#idleMs = 0
      this.#sendStatus(this.#peers)
    }
    this.#arm()
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
    this.#outbox.send(to, this.#status(wanted))
  }

  #status(bodies: BodiesWanted | null): Status {
    const { lowWaterMark, window } = this.#log
    const accepted = new Uint8Array(Math.ceil(window / 8))
    const prepared = new Uint8Array(accepted.length)
    const committed = new Uint8Array(accepted.length)
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
    if (words.count(digest) < this.#config.quorum.weak) return this.#checkProof(message)
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

  #checkProof(message: Committed): void {
    const { view, seq, digest, commits, batch } = message
    if (batch === null) return
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
    this.#pending.set(this.#outbox.verify(claims), message)
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const message = this.#pending.get(check)
    if (message === undefined) return false
    this.#pending.delete(check)
    if (valid.every((verdict) => verdict)) this.#onProven(message, 'proof')
    // Signatures of COMMITs were logged unverified [NC4]: an honest source may hold a liar's bad one.
    else this.#wordsWanted = true
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
    if (last) this.#askOn()
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
    } else if (this.#asked.after < this.#execution.frontier) this.#askOn()
  }

  // --- answering

  onStatus(from: PrincipalId, status: Status, nowMs: number): void {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined) return this.#outbox.reject(from, 'not-own-vote')
    this.#executedAt.set(peer, status.lastExecuted)
    const sinceMs = nowMs - (this.#answeredAt.get(peer) ?? Number.NEGATIVE_INFINITY)
    if (sinceMs >= this.#config.statusBusyMs / 2) {
      this.#answeredAt.set(peer, nowMs)
      this.#answeredBytes.delete(peer)
      this.#resendVotes(peer, status)
      this.#checkpoints.resend(peer, status.lowWaterMark)
      if (this.#lacks(status)) this.#sendStatus([peer])
    }
    if (status.bodies?.source === this.#config.self)
      this.#read(peer, { after: status.bodies.after, bodies: true })
    else if (status.wordsWanted) this.#read(peer, { after: status.lastExecuted, bodies: false })
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

  #resendVotes(peer: ReplicaId, status: Status): void {
    let slots = 0
    for (const slot of this.#log.all()) {
      const bit = slot.seq - status.lowWaterMark - 1
      if (bit < 0 || slot.seq <= status.lastExecuted || hasBit(status.committed, bit)) continue
      slots += 1
      if (slots > ANSWER_SLOTS_MAX) return
      this.#normalCase.resend(peer, slot, {
        accepted: !hasBit(status.accepted, bit),
        prepared: !hasBit(status.prepared, bit),
      })
    }
  }

  #read(peer: ReplicaId, { after, bodies }: { after: Seq; bodies: boolean }): void {
    if (this.#reading.has(peer) || after >= this.#execution.lastExecuted) return
    if ((this.#answeredBytes.get(peer) ?? 0) > PERIOD_BYTES_MAX) return
    this.#reading.set(peer, { bodies })
    this.#outbox.effect({
      type: 'read-committed',
      reader: peer,
      after,
      upTo: (bodies
        ? this.#execution.lastExecuted
        : Math.min(after + WORDS_MAX, this.#execution.lastExecuted)) as Seq,
      bytesMax: ANSWER_BYTES_MAX,
    })
  }

  onCommittedRead(reader: ReplicaId, entries: readonly CommittedEntry[]): void {
    const reading = this.#reading.get(reader)
    if (reading === undefined) return
    this.#reading.delete(reader)
    const bytes = reading.bodies ? entries.reduce((sum, { batch }) => sum + bytesOf(batch), 0) : 0
    this.#answeredBytes.set(reader, (this.#answeredBytes.get(reader) ?? 0) + bytes)
    entries.forEach(({ seq, digest, view, commits, batch }, index) => {
      const last = index === entries.length - 1
      this.#outbox.send([reader], {
        type: 'committed',
        seq,
        digest,
        view,
        commits: reading.bodies ? commits : [],
        batch: reading.bodies ? batch : null,
        last,
      })
    })
  }
}

/** A word is said on the sender's channel, not signed. */
const EMPTY = new Uint8Array(0)

const bytesOf = ({ requests }: Batch): number => requests.reduce((sum, { body }) => sum + body.length, 0)

function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7))
}

const hasBit = (bitmap: Uint8Array, bit: number): boolean =>
  (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1
