import type { Batch, Status } from '../../protocol/messages.ts'
import type { ReplicaId, Seq } from '../../protocol/types.ts'
import { hasBit } from './bitmap.ts'
import type { Checkpoints } from './checkpoint.ts'
import type { CoreConfig } from './config.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'
import type { StateSource } from './state-source.ts'
import type { ViewFacts } from './status.ts'
import type { CommittedEntry } from './vote-record.ts'

/** Bodies in one answer, and slots whose votes are sent again in one. */
const ANSWER_BYTES_MAX = 250_000
const ANSWER_SLOTS_MAX = 64
const WORDS_MAX = 128
/** Bodies read for one peer in a period of statusBusyMs. */
const PERIOD_BYTES_MAX = 1_000_000

/** What was read for a peer since its period began, at `sinceMs` of the caller's clock. */
type Period = { readonly sinceMs: number; readonly bytes: number }

/**
 * [CP5] Gives a peer what its STATUS shows it to lack: own votes, VIEW-CHANGEs and the NEW-VIEW, the stable
 * certificate, committed batches.
 */
export class Answers {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #normalCase: NormalCase
  readonly #checkpoints: Checkpoints
  readonly #views: ViewFacts
  readonly #source: Pick<StateSource, 'onLogGap'>
  readonly #periods = new Map<ReplicaId, Period>()
  /** Peers for whom the vote log is being read. */
  readonly #reading = new Map<ReplicaId, { readonly after: Seq; readonly bodies: boolean }>()

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    log: SlotLog
    execution: Execution
    normalCase: NormalCase
    checkpoints: Checkpoints
    views: ViewFacts
    source: Pick<StateSource, 'onLogGap'>
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#log = args.log
    this.#execution = args.execution
    this.#normalCase = args.normalCase
    this.#checkpoints = args.checkpoints
    this.#views = args.views
    this.#source = args.source
  }

  /** True when a new period began for this peer: at most one in half a statusBusyMs, with votes sent again. */
  answer(peer: ReplicaId, status: Status, nowMs: number): boolean {
    const period = this.#periods.get(peer)
    const begins = period === undefined || nowMs - period.sinceMs >= this.#config.statusBusyMs / 2
    if (begins) {
      this.#periods.set(peer, { sinceMs: nowMs, bytes: 0 })
      this.#views.answer(peer, status)
      this.#resendVotes(peer, status)
      this.#checkpoints.resend(peer, status.lowWaterMark)
    }
    const { lastExecuted } = this.#execution
    if (status.bodies?.source === this.#config.self) {
      this.#read(peer, { after: status.bodies.after, upTo: lastExecuted, bodies: true })
    } else if (status.wordsWanted) {
      const after = status.lastExecuted
      this.#read(peer, { after, upTo: Math.min(after + WORDS_MAX, lastExecuted) as Seq, bodies: false })
    }
    return begins
  }

  /** Upwards from what the peer executed: of slots that a liar's votes opened there may be many. */
  #resendVotes(peer: ReplicaId, status: Status): void {
    // Votes of a view that the peer has not entered, or has given up, are of no use to it [VC3].
    if (status.view !== this.#views.view || status.highestViewChange > status.view) return
    const { lowWaterMark, highWaterMark } = this.#log
    let slots = 0
    for (let seq = Math.max(lowWaterMark, status.lastExecuted) + 1; seq <= highWaterMark; seq++) {
      const bit = seq - status.lowWaterMark - 1
      const slot = this.#log.get(seq as Seq)
      if (slot === undefined || slot.voting.accepted === null || hasBit(status.committed, bit)) continue
      slots += 1
      if (slots > ANSWER_SLOTS_MAX) return
      this.#normalCase.resend(peer, slot, {
        accepted: !hasBit(status.accepted, bit),
        prepared: !hasBit(status.prepared, bit),
      })
    }
  }

  #read(peer: ReplicaId, range: { readonly after: Seq; readonly upTo: Seq; readonly bodies: boolean }): void {
    const { after, upTo, bodies } = range
    if (this.#reading.has(peer) || after >= upTo) return
    if ((this.#periods.get(peer)?.bytes ?? 0) > PERIOD_BYTES_MAX) return
    this.#reading.set(peer, { after, bodies })
    this.#outbox.effect({ type: 'read-committed', reader: peer, after, upTo, bytesMax: ANSWER_BYTES_MAX })
  }

  onCommittedRead(reader: ReplicaId, entries: readonly CommittedEntry[]): void {
    const reading = this.#reading.get(reader)
    const period = this.#periods.get(reader)
    if (reading === undefined || period === undefined) return
    this.#reading.delete(reader)
    // Of what lies below h nothing is still on its way into the log.
    if (entries.length === 0 && reading.after < this.#log.lowWaterMark) this.#source.onLogGap(reading.after)
    // Read from disk whether or not it is sent: that is the cost.
    const read = entries.reduce((sum, { batch }) => sum + bytesOf(batch), 0)
    this.#periods.set(reader, { ...period, bytes: period.bytes + read })
    entries.forEach(({ seq, digest, view, commits, batch }, index) => {
      const last = index === entries.length - 1
      const proof = reading.bodies ? { commits, batch } : { commits: [], batch: null }
      this.#outbox.send([reader], { type: 'committed', seq, digest, view, ...proof, last })
    })
  }
}

const bytesOf = ({ requests }: Batch): number => requests.reduce((sum, { body }) => sum + body.length, 0)
