import type { TimerName } from '../core/effect.ts'

/** The core's timers. Setting one that runs replaces it. */
export class Timers {
  readonly #running = new Map<TimerName, NodeJS.Timeout>()
  readonly #onTimeout: (timer: TimerName) => void

  constructor(onTimeout: (timer: TimerName) => void) {
    this.#onTimeout = onTimeout
  }

  set(timer: TimerName, ms: number): void {
    this.stop(timer)
    const started = setTimeout(() => {
      this.#running.delete(timer)
      this.#onTimeout(timer)
    }, ms)
    this.#running.set(timer, started)
  }

  stop(timer: TimerName): void {
    clearTimeout(this.#running.get(timer))
    this.#running.delete(timer)
  }

  stopAll(): void {
    for (const timer of [...this.#running.keys()]) this.stop(timer)
  }
}
