import { EventQueue } from '../sim/event-queue.ts'

/** What runs later: in order of time, and of scheduling where that is the same. */
export type Delays = {
  nowMs(): number
  after(ms: number, run: () => void): void
}

const US_PER_MS = 1_000

/** All delays of a process on one heap and one timer, to the millisecond. */
export class DelayLine implements Delays {
  readonly #queue = new EventQueue()
  #timer: NodeJS.Timeout | undefined
  #timerAtUs = Number.POSITIVE_INFINITY
  #isClosed = false

  nowMs(): number {
    return performance.now()
  }

  after(ms: number, run: () => void): void {
    if (this.#isClosed) return
    this.#queue.at((this.nowMs() + ms) * US_PER_MS, run)
    this.#arm()
  }

  /** Nothing that waits is run any more. */
  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #arm(): void {
    const nextUs = this.#queue.nextUs
    if (this.#isClosed || nextUs >= this.#timerAtUs) return
    clearTimeout(this.#timer)
    this.#timerAtUs = nextUs
    const waitMs = Math.max(0, nextUs / US_PER_MS - this.nowMs())
    this.#timer = setTimeout(() => this.#run(), waitMs)
  }

  #run(): void {
    this.#timerAtUs = Number.POSITIVE_INFINITY
    const nowUs = this.nowMs() * US_PER_MS
    while (!this.#isClosed && this.#queue.nextUs <= nowUs) this.#queue.runNext()
    this.#arm()
  }
}
