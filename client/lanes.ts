import type { Reply } from '../protocol/messages.ts'
import type { RequestName } from '../protocol/operations.ts'
import type { ReplicaId } from '../protocol/types.ts'
import { lane as laneNumber } from '../protocol/types.ts'
import type { Call } from './calls.ts'
import type { ClientContext } from './context.ts'
import type { Clock, TimerName } from './effects.ts'
import { Lane } from './lane.ts'
import type { OperationQueue } from './operation-queue.ts'
import { type RequestSize, requestRoomOf } from './request-size.ts'

/**
 * Which lanes exist, and how waiting operations are divided over them. Each request costs every replica a signature
 * verification, each lane hides a round's latency: so a few lanes with equal shares, rather than one request for
 * each caller, or one lane that carries all while the others idle.
 */
export class Lanes {
  readonly #context: ClientContext
  readonly #queue: OperationQueue
  readonly #room: RequestSize
  readonly #lanes = new Map<number, Lane>()
  /** The lane that was last taken into service; the first one is random, so that processes of one key rarely meet. */
  #cursor: number

  constructor(context: ClientContext, queue: OperationQueue) {
    this.#context = context
    this.#queue = queue
    this.#room = requestRoomOf(context.config)
    this.#cursor = Math.floor(context.deps.random() * context.config.lanesPerClientMax)
  }

  flush(clock: Clock): void {
    this.#serve(clock)
    this.#enlist()
    for (const lane of this.#lanes.values()) if (lane.mustLookup) lane.startLookup(clock)
  }

  lookup(call: Call, name: RequestName): void {
    this.#laneAt(name.lane).lookup(call, name)
    this.#dropNeedless()
  }

  onReply(from: ReplicaId, reply: Reply, nowMs: number): void {
    this.#lanes.get(reply.lane)?.onReply(from, reply, nowMs)
    this.#dropNeedless()
  }

  onTimeout(timer: TimerName): void {
    for (const lane of this.#lanes.values()) if (timer === `lane:${lane.number}`) lane.retry()
  }

  sessionUp(peer: ReplicaId): void {
    for (const lane of this.#lanes.values()) lane.sessionUp(peer)
  }

  sweep(): void {
    for (const lane of this.#lanes.values()) lane.sweep()
    this.#dropNeedless()
  }

  #dropNeedless(): void {
    for (const lane of this.#lanes.values()) if (lane.needless) this.#lanes.delete(lane.number)
  }

  /**
   * Every free lane gets an equal share of all that is outstanding, also of what other lanes have in flight: what
   * exceeds the share waits for those. Else the lane that happened to get most callers would keep them for ever,
   * since callers come back when they are answered.
   */
  #serve(clock: Clock): void {
    const { divideOperationsMin } = this.#context.config
    const settled = this.#inService.filter((lane) => lane.settled)
    const steady = settled.filter((lane) => !lane.struggling)
    const inFlight = steady.reduce((sum, lane) => sum + lane.operationsInFlight, 0)
    const outstanding = this.#queue.operations + inFlight
    const ways = Math.max(1, Math.min(steady.length, Math.ceil(outstanding / divideOperationsMin)))
    for (const lane of settled.filter(({ ready }) => ready)) {
      const taken = this.#queue.take(Math.ceil(outstanding / ways), this.#room)
      if (taken.length === 0) return
      lane.startOperations(taken, clock)
    }
  }

  /**
   * As many lanes as what is outstanding divides into, and one more while something waits though every settled lane
   * works: opening one takes as long as waiting for one, and only once.
   */
  #enlist(): void {
    const { lanes, divideOperationsMin } = this.#context.config
    const inService = this.#inService
    const waiting = this.#queue.operations
    const outstanding = inService.reduce((sum, lane) => sum + lane.operationsInFlight, waiting)
    const settled = inService.filter((lane) => lane.settled).length
    const wanted = Math.max(Math.ceil(outstanding / divideOperationsMin), waiting > 0 ? settled + 1 : 0)
    const more = Math.min(wanted, lanes) - inService.length
    for (let i = 0; i < more; i++) this.#nextLane().inService = true
  }

  #nextLane(): Lane {
    const { lanesPerClientMax } = this.#context.config
    do this.#cursor = (this.#cursor + 1) % lanesPerClientMax
    while (this.#lanes.get(this.#cursor)?.inService)
    return this.#laneAt(this.#cursor)
  }

  #laneAt(number: number): Lane {
    const known = this.#lanes.get(number)
    if (known !== undefined) return known
    const lane = new Lane(this.#context, laneNumber(number))
    this.#lanes.set(number, lane)
    return lane
  }

  get #inService(): Lane[] {
    return [...this.#lanes.values()].filter(({ inService }) => inService)
  }
}
