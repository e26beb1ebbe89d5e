import type { Checkpoint, History, Partition, Partitions, StateOffer } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import { type Checkpoints, checkpointClaim } from './checkpoint.ts'
import { stateKey, type WeakState } from './checkpoint-votes.ts'
import { type CoreConfig, type CoreCrypto, peersOf } from './config.ts'
import type { CheckId } from './effect.ts'
import type { Event, RowMismatch } from './event.ts'
import type { Execution } from './execution.ts'
import { HistoryFetch } from './history-fetch.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import { PartitionFetch } from './partition-fetch.ts'
import { Repair } from './repair.ts'
import { TransferSources } from './transfer-sources.ts'

/** The timer 'transfer', in statusBusyMs: a source that answers nothing for so long is silent. */
const PERIOD_TICKS = 5
/** A source that sends less than this in a period, and leaves out what it was asked for, is slow. */
const SLOW_BYTES_MIN = 32_000

const ROOT = '' as Partition

type EventOf<T extends Event['type']> = Extract<Event, { type: T }>

type Phase =
  | { readonly kind: 'idle' }
  /** No target yet, or nobody holds it any more. */
  | { readonly kind: 'seeking'; hasAsked: boolean }
  /** The database compares what it has with the target. */
  | { readonly kind: 'beginning' }
  | { readonly kind: 'fetching'; readonly partitions: PartitionFetch; readonly history: HistoryFetch }
  | { readonly kind: 'installing' }

/**
 * [CP4] [CP6] Fetches a state that f+1 others signed: when messages cannot bring this replica on, and when its own rows
 * were changed behind its back. From 'begin-transfer' on, and while a repair is due, nothing is executed here.
 */
export class StateTransfer {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #checkpoints: Checkpoints
  readonly #catchUp: { readonly isBeyondMessages: boolean }
  readonly #source: { onInstalled(seq: Seq): void }
  readonly #peers: readonly ReplicaId[]
  readonly #sources = new TransferSources()
  /** Offered and being verified, one per sender. */
  readonly #offers = new Map<CheckId, Checkpoint>()
  #phase: Phase = { kind: 'idle' }
  #target: WeakState | null = null
  /** 'begin-transfer' went out, and neither installed nor cancelled it since. */
  #hasBegun = false
  readonly #repair = new Repair()
  /** In the present period: what came, and whether the source left something out. */
  #bytes = 0
  #wasShort = false
  /** Sources given up since the last good answer. */
  #fruitless = 0

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    execution: Execution
    checkpoints: Checkpoints
    catchUp: { readonly isBeyondMessages: boolean }
    source: { onInstalled(seq: Seq): void }
  }) {
    this.#config = args.config
    this.#crypto = args.crypto
    this.#outbox = args.outbox
    this.#log = args.log
    this.#execution = args.execution
    this.#checkpoints = args.checkpoints
    this.#catchUp = args.catchUp
    this.#source = args.source
    this.#peers = peersOf(args.config)
  }

  /** Nothing is executed, and no request is timed [NC8]. */
  get isActive(): boolean {
    return this.#hasBegun || this.#repair.isDue
  }

  get target(): Seq | null {
    return this.#target?.seq ?? null
  }

  /** Call at the end of each step, before execution goes on. */
  advance(): void {
    if (this.#checkpoints.divergence !== null) this.#repair.onDivergence()
    const isNeeded = this.#repair.isDue || this.#catchUp.isBeyondMessages
    if (this.#phase.kind === 'idle' && isNeeded) this.#seek()
    if (this.#repair.isDue) this.#execution.pause()
    if (this.#phase.kind === 'seeking') {
      if (!isNeeded) return this.#cancel()
      const found = this.#choose(this.#floor())
      if (found !== undefined) this.#begin(found)
      else if (!this.#phase.hasAsked) this.#ask()
    }
    if (this.#phase.kind === 'fetching') this.#fetchOn(this.#phase)
  }

  // --- the target

  /** A target must be above: what messages bring is not fetched, nor does a repair go back behind what was executed. */
  #floor(): number {
    const { issued, frontier } = this.#execution
    const low = this.#log.lowWaterMark - 1
    return Math.max(low, this.#repair.isDue ? issued - 1 : frontier)
  }

  #seek(): void {
    this.#phase = { kind: 'seeking', hasAsked: false }
    this.#arm()
  }

  #arm(): void {
    const ms = PERIOD_TICKS * this.#config.statusBusyMs
    this.#outbox.effect({ type: 'set-timer', timer: 'transfer', ms })
  }

  /** Whoever holds a newer state offers it, or takes one: an idle cluster has no other. */
  #ask(): void {
    if (this.#phase.kind === 'seeking') this.#phase.hasAsked = true
    const above = Math.max(0, this.#floor()) as Seq
    this.#outbox.send(this.#peers, { type: 'fetch-checkpoint', above })
  }

  /** The newest that somebody holds; one at a multiple of K before those that were taken on demand. */
  #choose(above: number): WeakState | undefined {
    const held = this.#checkpoints
      .weakAbove(above)
      .filter(({ seq, signers }) => this.#sources.usable(signers, seq).length > 0)
    return held.find(({ isRegular }) => isRegular) ?? held[0]
  }

  #begin(target: WeakState): void {
    const kind = this.#hasBegun ? 'transfer-moved' : 'transfer-started'
    this.#outbox.observe({ kind, seq: target.seq })
    this.#target = target
    this.#fruitless = 0
    this.#sources.choose(target.signers, target.seq)
    this.#beginAgain(target)
  }

  #beginAgain({ seq, stateRoot, chain }: WeakState): void {
    this.#phase = { kind: 'beginning' }
    this.#hasBegun = true
    this.#execution.pause()
    const rescan = this.#repair.needsScan
    this.#outbox.effect({ type: 'begin-transfer', seq, stateRoot, chain, rescan })
    this.#pin()
  }

  /** Messages reach again, and nobody holds the target: what was handed out for execution is handed out again. */
  #cancel(): void {
    if (this.#hasBegun) {
      this.#outbox.effect({ type: 'cancel-transfer' })
      this.#execution.reset(this.#execution)
    }
    this.#end()
  }

  #end(): void {
    this.#phase = { kind: 'idle' }
    this.#target = null
    this.#hasBegun = false
    this.#sources.reset()
    this.#outbox.effect({ type: 'stop-timer', timer: 'transfer' })
    if (!this.#repair.isDue) this.#execution.resume()
  }

  /** [CP4] A peer says that it holds a state. */
  onOffer(from: PrincipalId, offer: StateOffer): void {
    const { checkpoint } = offer
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined || checkpoint.replica !== peer) return this.#outbox.reject(from, 'not-own-vote')
    if (this.#phase.kind === 'idle') return this.#outbox.reject(from, 'unexpected-type')
    if (this.#checkpoints.isVerified(checkpoint)) return this.#sources.offered(peer)
    for (const { replica } of this.#offers.values()) {
      if (replica === peer) return this.#outbox.reject(from, 'rate-limited')
    }
    this.#offers.set(this.#outbox.verify([checkpointClaim(checkpoint)]), checkpoint)
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const checkpoint = this.#offers.get(check)
    if (checkpoint === undefined) return false
    this.#offers.delete(check)
    if (valid[0] === true) {
      this.#sources.offered(checkpoint.replica)
      this.#checkpoints.admit([checkpoint])
    } else this.#outbox.reject(checkpoint.replica, 'bad-signature')
    return true
  }

  // --- the database

  onBegun(event: EventOf<'transfer-begun'>): void {
    const target = this.#target
    // Of an older target: the answer for this one is still to come.
    if (target === null || this.#phase.kind !== 'beginning' || event.seq !== target.seq) return
    this.#repair.onScanned()
    const partitions = new PartitionFetch(this.#crypto, target.stateRoot, event.partitions)
    const history = new HistoryFetch(this.#crypto, target, event.history)
    this.#phase = { kind: 'fetching', partitions, history }
    this.#startPeriod()
  }

  /** What was staged for an older target is answered before the new one has begun. */
  onPartitionStaged({ partition, wants }: EventOf<'partition-staged'>): void {
    if (this.#phase.kind === 'fetching') this.#phase.partitions.onStaged(partition, wants)
  }

  onHistoryStaged({ isComplete }: EventOf<'history-staged'>): void {
    if (this.#phase.kind === 'fetching') this.#phase.history.onStaged(isComplete)
  }

  /** Call when execution stands where the database stands now. */
  onInstalled({ database, repaired }: EventOf<'state-installed'>): void {
    const seq = database.lastExecuted
    this.#outbox.observe({ kind: 'transfer-installed', seq })
    const rows = this.#repair.onInstalled(repaired)
    if (rows.length > 0) this.#outbox.observe({ kind: 'repaired', rows })
    this.#end()
    this.#source.onInstalled(seq)
  }

  /** A new connection: what was staged is lost with the old one, or the answer of an installation was. */
  onReconnected(): void {
    this.#repair.onReconnected()
    if (this.#target !== null && this.#phase.kind !== 'seeking') this.#beginAgain(this.#target)
  }

  /** [CP6] */
  onMismatch(rows: readonly RowMismatch[]): void {
    this.#outbox.observe({ kind: 'tampered', rows })
    const target = this.#target
    this.#repair.onMismatch(rows)
    if (target !== null && (this.#phase.kind === 'beginning' || this.#phase.kind === 'fetching')) {
      this.#beginAgain(target)
    }
  }

  // --- fetching

  #fetchOn({ partitions, history }: Extract<Phase, { kind: 'fetching' }>): void {
    const source = this.#sources.current
    const target = this.#target
    if (source === null || target === null) return
    if (history.isForeign) {
      const detail = `the history that f+1 replicas signed does not begin at this cluster's genesis`
      return this.#outbox.effect({ type: 'halt', fault: { code: 'diverged', seq: target.seq, detail } })
    }
    const { seq } = target
    for (let next = partitions.next(); next !== undefined; next = partitions.next()) {
      this.#outbox.send([source], { type: 'fetch-partitions', seq, partitions: next })
    }
    const upTo = history.next()
    if (upTo !== undefined) this.#outbox.send([source], { type: 'fetch-history', upTo })
    if (!partitions.isDone || !history.isDone) return
    this.#phase = { kind: 'installing' }
    this.#outbox.effect({ type: 'install-transfer' })
  }

  /** Fetching the root keeps the lease, with nothing else to fetch: on the state, and on the log above it. */
  #pin(): void {
    const source = this.#sources.current
    if (source === null || this.#target === null) return
    const { seq } = this.#target
    this.#outbox.send([source], { type: 'fetch-partitions', seq, partitions: [ROOT] })
  }

  onPartitions(from: PrincipalId, { seq, isHeld, nodes }: Partitions): void {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined || this.#target === null) return this.#outbox.reject(from, 'unexpected-type')
    if (seq !== this.#target.seq) return
    if (!isHeld) {
      this.#sources.letGo(peer, seq)
      if (peer === this.#sources.current) this.#replace()
      return
    }
    if (peer !== this.#sources.current || this.#phase.kind !== 'fetching') return
    const taken = this.#phase.partitions.take(nodes)
    if (taken.kind === 'unasked') return
    if (taken.kind === 'wrong') return this.#onLie(peer)
    this.#onGood(taken)
    for (const { partition, node } of taken.nodes) {
      this.#outbox.effect({ type: 'stage-partition', partition, node })
    }
  }

  onHistory(from: PrincipalId, { upTo, entries }: History): void {
    if (this.#target === null) return this.#outbox.reject(from, 'unexpected-type')
    if (from !== this.#sources.current || this.#phase.kind !== 'fetching') return
    const taken = this.#phase.history.take(upTo, entries)
    if (taken.kind === 'unasked') return
    if (taken.kind === 'wrong') return this.#onLie(from as ReplicaId)
    const lowest = taken.entries.at(-1)?.seq ?? 0
    this.#onGood({ bytes: taken.bytes, isShort: lowest > 1 })
    this.#outbox.effect({ type: 'stage-history', entries: taken.entries })
  }

  #onGood({ bytes, isShort }: { readonly bytes: number; readonly isShort: boolean }): void {
    this.#fruitless = 0
    this.#bytes += bytes
    if (isShort) this.#wasShort = true
  }

  /** What it sent is not what f+1 replicas signed. */
  #onLie(source: ReplicaId): void {
    this.#outbox.reject(source, 'wrong-digest')
    this.#sources.lied(source)
    this.#replace()
  }

  // --- sources

  #startPeriod(): void {
    this.#bytes = 0
    this.#wasShort = false
  }

  onTimeout(): void {
    switch (this.#phase.kind) {
      case 'idle':
        return
      case 'seeking':
        this.#ask()
        break
      case 'beginning':
      case 'installing':
        this.#pin()
        break
      case 'fetching':
        this.#judge(this.#phase)
    }
    this.#arm()
  }

  /** Silent: something that was asked for in an earlier period did not come. */
  #judge({ partitions, history }: Extract<Phase, { kind: 'fetching' }>): void {
    const overdue = [partitions.isOverdue(), history.isOverdue()]
    const isSlow = this.#wasShort && this.#bytes < SLOW_BYTES_MIN
    this.#startPeriod()
    if (!partitions.isWaiting && !history.isWaiting) return this.#pin()
    if (!overdue.includes(true) && !isSlow) return
    this.#fruitless += 1
    this.#replace()
    this.#moveOn()
  }

  /** All were tried in vain: perhaps others hold something newer. */
  #moveOn(): void {
    const target = this.#target
    if (target === null || this.#phase.kind !== 'fetching') return
    if (this.#fruitless < this.#sources.usable(this.#signersOf(target), target.seq).length) return
    const newer = this.#choose(target.seq)
    if (newer === undefined) this.#ask()
    else this.#begin(newer)
  }

  #signersOf(target: WeakState): ReplicaId[] {
    const known = this.#checkpoints.weakAbove(target.seq - 1).find(({ seq }) => seq === target.seq)
    const more = known !== undefined && stateKey(known) === stateKey(target) ? known.signers : []
    return [...new Set([...target.signers, ...more])]
  }

  #replace(): void {
    const target = this.#target
    const before = this.#sources.current
    // What is being installed needs no source any more.
    if (target === null || this.#phase.kind === 'installing') return
    const next = this.#sources.choose(this.#signersOf(target), target.seq)
    if (before !== null && next !== before) {
      this.#outbox.observe({ kind: 'transfer-source-replaced', source: before })
    }
    if (this.#phase.kind === 'fetching') {
      this.#phase.partitions.askAgain()
      this.#phase.history.askAgain()
    }
    if (next === null) this.#seek()
    else if (this.#phase.kind === 'beginning') this.#pin()
  }
}
