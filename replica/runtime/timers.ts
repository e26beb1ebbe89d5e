import { type Clock, type StopTimer, systemClock } from '../../protocol/clock.ts'
import type { TimerName } from '../core/effect.ts'

/** The core's timers. Setting one that runs replaces it. */
export class Timers {
  readonly #running = new Map<TimerName, StopTimer>()
  readonly #onTimeout: (timer: TimerName) => void
  readonly #clock: Clock

  constructor(onTimeout: (timer: TimerName) => void, clock: Clock = systemClock) {
    this.#onTimeout = onTimeout
    this.#clock = clock
  }

  set(timer: TimerName, ms: number): void {
    this.stop(timer)
    const started = this.#clock.setTimer(() => {
      this.#running.delete(timer)
      this.#onTimeout(timer)
    }, ms)
    this.#running.set(timer, started)
  }

  stop(timer: TimerName): void {
    this.#running.get(timer)?.()
    this.#running.delete(timer)
  }

  stopAll(): void {
    for (const timer of [...this.#running.keys()]) this.stop(timer)
  }
}
