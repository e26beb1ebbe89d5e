import type { EventQueue } from './event-queue.ts'

/** A host's clock: it runs at a rate of its own and may jump ahead; it never goes back. */
export class Clock {
  readonly #queue: EventQueue
  readonly #rate: number
  #aheadMs = 0

  constructor(queue: EventQueue, rate = 1) {
    this.#queue = queue
    this.#rate = rate
  }

  get nowMs(): number {
    return (this.#queue.nowUs / 1000) * this.#rate + this.#aheadMs
  }

  /** True microseconds in which this clock goes on by `ms`. */
  delayUs(ms: number): number {
    return Math.max(0, Math.ceil((ms * 1000) / this.#rate))
  }

  jump(ms: number): void {
    this.#aheadMs += ms
  }
}
