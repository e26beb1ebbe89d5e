import type { Delays } from '../../../chaos/live/delay-line.ts'
import { EventQueue } from '../../../chaos/sim/event-queue.ts'

/** Time that goes on when a test says so. */
export class FakeDelays implements Delays {
  readonly #queue = new EventQueue()

  nowMs(): number {
    return this.#queue.nowUs / 1_000
  }

  after(ms: number, run: () => void): void {
    this.#queue.after(ms * 1_000, run)
  }

  /** Everything that waits is run, in order of time. */
  runAll(): void {
    while (this.#queue.runNext()) {
      // Each run may add another.
    }
  }

  advance(ms: number): void {
    const untilUs = this.#queue.nowUs + ms * 1_000
    while (this.#queue.nextUs <= untilUs) this.#queue.runNext()
    this.#queue.nowUs = untilUs
  }
}
