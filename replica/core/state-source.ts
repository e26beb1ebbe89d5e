import type {
  FetchCheckpoint,
  FetchHistory,
  FetchPartitions,
  LedgerEntry,
  Partition,
  PartitionNode,
} from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import type { Checkpoints } from './checkpoint.ts'
import type { NamedState } from './checkpoint-votes.ts'
import { type CoreConfig, peersOf } from './config.ts'
import type { Execution } from './execution.ts'
import { HeldStates } from './held-states.ts'
import type { Outbox } from './outbox.ts'
import type { ViewFacts } from './status.ts'

/** Nodes or entries in one answer; at least one, whatever its size. */
const ANSWER_BYTES_MAX = 250_000
/** Read for one peer in a period of statusBusyMs; more waits for the next. */
const PERIOD_BYTES_MAX = 2_000_000
/** Fetches of one peer that wait. */
const WAITING_MAX = 8
/** Snapshots on demand are at least so many statusBusyMs apart, whoever asks. */
const TAKE_PERIODS = 10

type Fetch = FetchPartitions | FetchHistory

/** One peer's fetches: one read under way, few waiting, bounded bytes in a period. */
type Queue = { readonly waiting: Fetch[]; reading: Fetch | null; sinceMs: number; bytes: number }

/**
 * [CP4] The serving side of state transfer: offers a state that this replica holds and signed, takes one on demand,
 * and reads what peers ask for out of held states. What a peer costs is bounded, and so is what all of them pin.
 */
export class StateSource {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #execution: Execution
  readonly #checkpoints: Checkpoints
  readonly #views: Pick<ViewFacts, 'isVoting'>
  readonly #held: HeldStates
  readonly #peers: readonly ReplicaId[]
  readonly #queues = new Map<ReplicaId, Queue>()
  /** Who waits for a state, and above which seq. */
  readonly #askers = new Map<ReplicaId, Seq>()
  #taking = false
  #tookMs = Number.NEGATIVE_INFINITY
  /** Committed batches above this are in the vote log. */
  #servedFrom: Seq

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    execution: Execution
    checkpoints: Checkpoints
    views: Pick<ViewFacts, 'isVoting'>
    /** What is left of the vote log begins behind this. */
    servedFrom: Seq
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#execution = args.execution
    this.#checkpoints = args.checkpoints
    this.#views = args.views
    this.#servedFrom = args.servedFrom
    this.#held = new HeldStates({ ...args, collected: args.servedFrom })
    this.#peers = peersOf(args.config)
  }

  /** [CP5] For STATUS. */
  get servedFrom(): Seq {
    return this.#servedFrom
  }

  #peer(from: PrincipalId): ReplicaId | undefined {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined) this.#outbox.reject(from, 'not-admitted')
    return peer
  }

  // --- states

  onFetchCheckpoint(from: PrincipalId, { above }: FetchCheckpoint): void {
    const peer = this.#peer(from)
    if (peer === undefined || this.#offer(peer, above)) return
    // [D5] An amnesiac signs no CHECKPOINT, so it has nothing to offer.
    if (this.#execution.lastExecuted <= above || !this.#views.isVoting) return
    this.#askers.set(peer, above)
    this.#takeOnDemand()
  }

  #offer(peer: ReplicaId, above: Seq): boolean {
    const seq = this.#held.bestFor(peer, { above, present: this.#execution.lastExecuted })
    const checkpoint = seq === undefined ? undefined : this.#checkpoints.ownAt(seq)
    if (checkpoint === undefined) return false
    this.#held.offer(peer, checkpoint.seq)
    const after = this.#checkpoints.ownPosition(checkpoint.seq)
    this.#outbox.send([peer], { type: 'state-offer', checkpoint }, after)
    return true
  }

  /** Not while the state here is being replaced, and seldom: a snapshot costs, whoever asks for it. */
  #takeOnDemand(): void {
    const { nowMs } = this.#outbox
    if (this.#askers.size === 0 || this.#taking || this.#execution.isPaused) return
    if (nowMs - this.#tookMs < TAKE_PERIODS * this.#config.statusBusyMs) return
    this.#taking = true
    this.#tookMs = nowMs
    this.#outbox.effect({ type: 'take-checkpoint' })
  }

  /** Call after the state was signed. */
  onTaken({ seq }: NamedState): void {
    this.#taking = false
    this.#held.add(seq)
    for (const [peer, above] of this.#askers) {
      if (above >= seq) continue
      this.#askers.delete(peer)
      this.#offer(peer, above)
    }
  }

  onLost(): void {
    this.#taking = false
    this.#held.clear()
  }

  /** Once in a statusBusyMs. */
  onTick(): void {
    // Whoever is still behind asks again; who asked for what this replica has not reached must not pile up.
    for (const [peer, above] of this.#askers) {
      if (this.#execution.lastExecuted <= above) this.#askers.delete(peer)
    }
    this.#takeOnDemand()
    this.#held.expire()
    for (const peer of this.#queues.keys()) this.#readNext(peer)
  }

  /** Lets go of states and log that nobody needs any more. Call at the end of each step. */
  advance(): void {
    const collected = this.#held.release()
    if (collected > this.#servedFrom) this.#servedFrom = collected
  }

  /** [CP4] The log has nothing of what lies between what was here and the installed state. */
  onInstalled(seq: Seq): void {
    if (seq > this.#servedFrom) this.#servedFrom = seq
  }

  /** The vote log has nothing behind `after`, though more is executed. */
  onLogGap(after: Seq): void {
    if (after >= this.#servedFrom) this.#servedFrom = (after + 1) as Seq
  }

  // --- contents

  onFetchPartitions(from: PrincipalId, wanted: FetchPartitions): void {
    const peer = this.#peer(from)
    if (peer === undefined) return
    if (!this.#held.has(wanted.seq)) return this.#notHeld(peer, wanted.seq)
    this.#held.lease(peer, wanted.seq)
    this.#enqueue(peer, wanted)
  }

  onFetchHistory(from: PrincipalId, wanted: FetchHistory): void {
    const peer = this.#peer(from)
    if (peer === undefined) return
    if (wanted.upTo === 0 || wanted.upTo > this.#execution.lastExecuted) {
      return this.#outbox.reject(from, 'out-of-bounds')
    }
    this.#held.renew(peer)
    this.#enqueue(peer, wanted)
  }

  #enqueue(peer: ReplicaId, wanted: Fetch): void {
    const queue = this.#queueOf(peer)
    if (queue.waiting.length >= WAITING_MAX) return this.#outbox.reject(peer, 'rate-limited')
    queue.waiting.push(wanted)
    this.#readNext(peer)
  }

  #notHeld(peer: ReplicaId, seq: Seq): void {
    this.#outbox.send([peer], { type: 'partitions', seq, isHeld: false, nodes: [] })
  }

  #queueOf(peer: ReplicaId): Queue {
    let queue = this.#queues.get(peer)
    if (queue === undefined) {
      queue = { waiting: [], reading: null, sinceMs: this.#outbox.nowMs, bytes: 0 }
      this.#queues.set(peer, queue)
    }
    return queue
  }

  #readNext(peer: ReplicaId): void {
    const queue = this.#queueOf(peer)
    const { nowMs } = this.#outbox
    if (nowMs - queue.sinceMs >= this.#config.statusBusyMs) Object.assign(queue, { sinceMs: nowMs, bytes: 0 })
    if (queue.reading !== null || queue.bytes > PERIOD_BYTES_MAX) return
    const wanted = queue.waiting.shift()
    if (wanted === undefined) return
    queue.reading = wanted
    const bytesMax = ANSWER_BYTES_MAX
    if (wanted.type === 'fetch-history') {
      return this.#outbox.effect({ type: 'read-history', reader: peer, upTo: wanted.upTo, bytesMax })
    }
    const { seq, partitions } = wanted
    this.#outbox.effect({ type: 'read-partitions', reader: peer, seq, partitions, bytesMax })
  }

  onPartitionsRead(args: {
    readonly reader: ReplicaId
    readonly seq: Seq
    readonly nodes: readonly { readonly partition: Partition; readonly node: PartitionNode }[] | null
  }): void {
    const { reader, seq, nodes } = args
    this.#done(
      reader,
      (nodes ?? []).reduce((sum, { node }) => sum + bytesOfNode(node), 0),
    )
    if (nodes === null) {
      this.#held.forget(seq)
      this.#notHeld(reader, seq)
    } else this.#outbox.send([reader], { type: 'partitions', seq, isHeld: true, nodes })
    this.#readNext(reader)
  }

  onHistoryRead(args: {
    readonly reader: ReplicaId
    readonly upTo: Seq
    readonly entries: readonly LedgerEntry[]
  }): void {
    const { reader, upTo, entries } = args
    this.#done(
      reader,
      entries.reduce((sum, entry) => sum + bytesOfEntry(entry), 0),
    )
    if (entries.length > 0) this.#outbox.send([reader], { type: 'history', upTo, entries })
    this.#readNext(reader)
  }

  #done(reader: ReplicaId, bytes: number): void {
    const queue = this.#queueOf(reader)
    queue.reading = null
    queue.bytes += bytes
  }

  /** The connection that reads were under way on is gone, and with it their answers. */
  onReconnected(): void {
    for (const queue of this.#queues.values()) queue.reading = null
    this.#taking = false
  }
}

/** On the wire, about. */
export const bytesOfNode = (node: PartitionNode): number =>
  node.kind === 'rows' ? node.rows.length : 32 * node.children.length
export const bytesOfEntry = ({ transfers }: LedgerEntry): number => transfers.length + 104
