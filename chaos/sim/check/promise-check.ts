import type { Message, NewView, ViewChange } from '../../../protocol/messages.ts'
import { NULL_BATCH_DIGEST } from '../../../protocol/signing.ts'
import type { Digest, ReplicaId, Seq, View } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import type { Disk } from '../disk.ts'
import { Violation } from '../violation.ts'
import { isAmnesiac } from './durability-check.ts'

type VoteType = 'pre-prepare' | 'prepare' | 'commit' | 'checkpoint'
type Said = { readonly type: VoteType; readonly view: View; readonly seq: Seq; readonly what: string }

const NO_SEQ = 0 as Seq
const VIEWS = 2 ** 20

/**
 * [D1] What one replica ever put on the wire, over all its restarts: it never says two things about one (view, seq), nor
 * anything that its disk does not hold by then, nor anything in a view that it gave up [VC3]; without its log it says
 * nothing [D5].
 */
export class PromiseCheck {
  readonly #replica: ReplicaId
  readonly #disk: Disk
  /** Over all time, by type, view and seq. */
  readonly #said = new Map<string, string>()
  /** What its log must stand for: said since the log was last lost, and above its stable checkpoint. */
  #binding = new Map<string, Said>()
  readonly #viewChanges = new Map<string, string>()
  readonly #newViews = new Map<View, string>()
  #highestViewChange = 0
  /** Highest seq that it voted on, ever, and before it lost its log: old votes lie below the new ones [D5]. */
  #highestSeq = 0
  #lostSeq = 0

  constructor(replica: ReplicaId, disk: Disk) {
    this.#replica = replica
    this.#disk = disk
  }

  onWire(message: Message): void {
    const said = voteOf(message, this.#replica)
    if (said !== null) this.#onVote(said)
    else if (message.type === 'view-change' && message.replica === this.#replica) this.#onViewChange(message)
    else if (message.type === 'new-view' && message.replica === this.#replica) this.#onNewView(message)
    else if (message.type === 'read-reply') this.#checkNotAmnesiac('answers a read')
  }

  #onVote(said: Said): void {
    const { type, view, seq, what } = said
    const key = keyOf(said)
    const before = this.#said.get(key)
    // The proof of a stable checkpoint may hold its own old part, and is passed on whole, by an amnesiac, too.
    if (type === 'checkpoint' && before === what) return
    this.#checkNotAmnesiac(`sends ${type}`)
    if (type !== 'checkpoint' && view < this.#highestViewChange) {
      this.#broken(`sends ${type} in view ${view}, having sent VIEW-CHANGE for ${this.#highestViewChange}`)
    }
    if (before === what) return
    if (before !== undefined) {
      this.#broken(`said ${type} ${short(before)} for view ${view} seq ${seq}, now ${short(what)}`)
    }
    if (!this.#isDurable(said))
      this.#notDurable(`sends ${type} for view ${view} seq ${seq} without its record`)
    if (seq <= this.#lostSeq) this.#broken(`votes on seq ${seq}, not above what it may have forgotten`)
    const recovered = this.#disk.durable('recovered', NO_SEQ)
    if (recovered !== undefined && type !== 'checkpoint' && view < recovered.view) {
      this.#broken(`votes in view ${view}, and came back for ${recovered.view} and above`)
    }
    this.#said.set(key, what)
    this.#binding.set(key, said)
    if (type !== 'checkpoint') this.#highestSeq = Math.max(this.#highestSeq, seq)
  }

  /** [D1] [VC3] Which record must be on the disk before a replica says this. */
  #isDurable({ type, view, seq, what }: Said): boolean {
    const disk = this.#disk
    if (type === 'checkpoint') return whatOfCheckpoint(disk.durable('checkpoint', seq)) === what
    const newView = disk.durable('new-view', NO_SEQ, view)
    if (view > 0 && newView === undefined) return false
    if (type === 'commit') return disk.durable('prepared', seq, view)?.header.digest === what
    if (disk.durable('pre-prepare', seq, view)?.header.digest === what) return true
    // An entry of O was proposed by the NEW-VIEW.
    return (
      hasHeader(newView, seq, what) && (what === NULL_BATCH_DIGEST || disk.durableBody(seq, what as Digest))
    )
  }

  #onViewChange(message: ViewChange): void {
    const { newView, incarnation, digest } = message
    this.#checkNotAmnesiac('sends VIEW-CHANGE')
    const key = `${newView}/${incarnation}`
    const before = this.#viewChanges.get(key)
    // As part of a NEW-VIEW's proof its own old one is passed on, whatever view it asked for since.
    if (before === digest) return
    if (before !== undefined) this.#broken(`sends two VIEW-CHANGEs for view ${newView}`)
    if (this.#disk.durable('view-change', NO_SEQ, newView)?.message.digest !== digest) {
      this.#notDurable(`sends VIEW-CHANGE for view ${newView} without its record`)
    }
    this.#checkCertificates(message)
    this.#viewChanges.set(key, digest)
    this.#highestViewChange = Math.max(this.#highestViewChange, newView)
  }

  /** [VC1] Whoever sent a COMMIT brings the certificate, or one of a higher view. */
  #checkCertificates({ newView, lowWaterMark, prepared }: ViewChange): void {
    for (const { type, view, seq, what } of this.#binding.values()) {
      if (type !== 'commit' || seq <= lowWaterMark) continue
      const entry = prepared.find(({ header }) => header.seq === seq)
      const stands =
        entry !== undefined &&
        (entry.header.view > view || (entry.header.view === view && entry.header.digest === what))
      if (stands) continue
      this.#broken(`sends VIEW-CHANGE for ${newView} without what it committed to at view ${view} seq ${seq}`)
    }
  }

  #onNewView({ view, digest }: NewView): void {
    this.#checkNotAmnesiac('sends NEW-VIEW')
    if (this.#newViews.get(view) === digest) return
    if (view < this.#highestViewChange) this.#broken(`sends NEW-VIEW for ${view}, which it gave up`)
    if (this.#disk.durable('new-view', NO_SEQ, view)?.message.digest !== digest) {
      this.#notDurable(`sends NEW-VIEW for view ${view} without its record`)
    }
    this.#newViews.set(view, digest)
  }

  /** [D5] The log is gone: what was said stays said, and nothing stands for it any more. */
  onLost(): void {
    this.#binding = new Map()
    this.#highestViewChange = 0
    this.#lostSeq = this.#highestSeq
  }

  /** After a crash: all that was said must be in what the log gives back, or have been superseded. */
  onRecovered(votes: readonly VoteRecord[]): void {
    const log = indexOf(votes)
    for (const [key, said] of this.#binding) {
      if (said.seq <= log.stable) this.#binding.delete(key)
      else if (!log.standsFor(said)) {
        this.#notDurable(
          `said ${said.type} for view ${said.view} seq ${said.seq}, and its log has forgotten it`,
        )
      }
    }
    if (this.#highestViewChange > Math.max(log.viewChange, log.newView)) {
      this.#notDurable(`sent VIEW-CHANGE for ${this.#highestViewChange}, and its log has forgotten it`)
    }
  }

  #checkNotAmnesiac(what: string): void {
    if (isAmnesiac(this.#disk)) this.#broken(`lost its vote log and ${what}`)
  }

  #broken(what: string): never {
    throw new Violation('promise-broken', `replica ${this.#replica} ${what}`)
  }

  #notDurable(what: string): never {
    throw new Violation('not-durable', `replica ${this.#replica} ${what}`)
  }
}

/** What a start finds. */
function indexOf(votes: readonly VoteRecord[]) {
  const held = new Set<string>()
  /** By seq: the highest view of a prepared certificate. */
  const prepared = new Map<Seq, View>()
  let stable = 0
  let viewChange = 0
  let newView: Extract<VoteRecord, { kind: 'new-view' }> | undefined
  for (const record of votes) {
    switch (record.kind) {
      case 'pre-prepare': {
        const { view, seq, digest } = record.header
        held.add(keyOf({ type: 'pre-prepare', view, seq, what: digest }) + digest)
        break
      }
      case 'prepared': {
        const { view, seq } = record.header
        if (view >= (prepared.get(seq) ?? 0)) prepared.set(seq, view)
        break
      }
      case 'checkpoint':
        held.add(`checkpoint ${record.seq}`)
        break
      case 'stable':
        stable = Math.max(stable, record.seq)
        break
      case 'view-change':
        viewChange = Math.max(viewChange, record.message.newView)
        break
      case 'new-view':
        if (newView === undefined || record.message.view > newView.message.view) newView = record
        break
      case 'committed':
      case 'batch':
      case 'amnesia':
      case 'recovered':
        break
    }
  }
  const entered = newView?.message.view ?? 0
  const standsFor = ({ type, view, seq, what }: Said): boolean => {
    if (type === 'checkpoint') return held.has(`checkpoint ${seq}`)
    if (type === 'commit') return (prepared.get(seq) ?? -1) >= view
    // Given up: no vote there any more.
    if (view < Math.max(viewChange, entered)) return true
    return (
      held.has(keyOf({ type: 'pre-prepare', view, seq, what }) + what) ||
      (entered === view && hasHeader(newView, seq, what))
    )
  }
  return { stable, viewChange, newView: entered, standsFor }
}

const hasHeader = (
  record: Extract<VoteRecord, { kind: 'new-view' }> | undefined,
  seq: Seq,
  digest: string,
): boolean => record?.message.headers.some((h) => h.seq === seq && h.digest === digest) ?? false

function voteOf(message: Message, self: ReplicaId): Said | null {
  switch (message.type) {
    case 'pre-prepare': {
      const { view, seq, digest } = message.header
      return { type: 'pre-prepare', view, seq, what: digest }
    }
    case 'prepare':
    case 'commit':
      return { type: message.type, view: message.view, seq: message.seq, what: message.digest }
    case 'checkpoint':
      // Others' are passed on.
      return message.replica === self
        ? { type: 'checkpoint', view: 0 as View, seq: message.seq, what: whatOfCheckpoint(message) ?? '' }
        : null
    case 'state-offer':
      return voteOf(message.checkpoint, self)
    default:
      return null
  }
}

const keyOf = ({ type, view, seq }: Said): string => `${type} ${seq * VIEWS + view}`
const whatOfCheckpoint = (of: { stateRoot: string; chain: string } | undefined): string | undefined =>
  of === undefined ? undefined : of.stateRoot + of.chain
const short = (digest: string): string => digest.slice(0, 8)
