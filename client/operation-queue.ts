import type { Operation } from '../protocol/operations.ts'
import type { Call } from './calls.ts'
import { OverloadedError } from './errors.ts'
import { fits, type RequestSize, sumOf } from './request-size.ts'

/** A call's operations, which travel in one request. */
export type QueuedCall = {
  readonly call: Call
  readonly operations: readonly Operation[]
  readonly size: RequestSize
  /** A read that goes the ordered way: it is answered with values, and not answering it puts nothing in doubt. */
  readonly isRead: boolean
}

/** First come, first served; bounded in operations. */
export class OperationQueue {
  readonly #operationsMax: number
  #calls: QueuedCall[] = []
  #head = 0
  #operations = 0

  constructor(operationsMax: number) {
    this.#operationsMax = operationsMax
  }

  /** @throws OverloadedError: nothing was queued. */
  push(queued: QueuedCall): void {
    if (this.#operations + queued.operations.length > this.#operationsMax) {
      throw new OverloadedError(
        `${this.#operations} operations are waiting already (queueOperationsMax ${this.#operationsMax})`,
      )
    }
    this.#calls.push(queued)
    this.#operations += queued.operations.length
  }

  get operations(): number {
    return this.#operations
  }

  /** Whole calls until `share` operations are reached, within `room`; at least one call unless the queue is empty. */
  take(share: number, room: RequestSize): QueuedCall[] {
    const taken: QueuedCall[] = []
    let size: RequestSize | undefined
    for (let next = this.#calls[this.#head]; next !== undefined; next = this.#calls[this.#head]) {
      const together: RequestSize = size === undefined ? next.size : sumOf(size, next.size)
      const enough = size !== undefined && (size.operations >= share || !fits(together, room))
      if (next.call.live && enough) break
      this.#head++
      this.#operations -= next.operations.length
      if (!next.call.live) continue
      taken.push(next)
      size = together
    }
    this.#compact()
    return taken
  }

  /** Forgets calls that have expired. */
  sweep(): void {
    this.#calls = this.#calls.slice(this.#head).filter(({ call }) => call.live)
    this.#head = 0
    this.#operations = this.#calls.reduce((sum, { operations }) => sum + operations.length, 0)
  }

  #compact(): void {
    if (this.#head < 1024 && this.#head < this.#calls.length) return
    this.#calls = this.#calls.slice(this.#head)
    this.#head = 0
  }
}
