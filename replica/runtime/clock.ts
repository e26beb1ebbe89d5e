import { type Clock, type StopTimer, systemClock } from '../../protocol/clock.ts'

export const CLOCK_RATE_MIN = 0.1
export const CLOCK_RATE_MAX = 10
/** A day: more would only overflow timers. */
export const CLOCK_JUMP_MS_MAX = 86_400_000

/**
 * A clock that runs at a rate of its own and jumps ahead, as the clock of a bad machine does. It never goes back. Timers
 * count this clock's time: what became due by a jump runs at once.
 */
export class ControlledClock implements Clock {
  readonly #host: Clock
  readonly #timers = new Set<ControlledTimer>()
  #rate = 1
  /** This clock showed `ownMs` when the host's showed `hostMs`. */
  #hostMs: number
  #ownMs: number
  readonly #wallOriginUs: number

  constructor(host: Clock = systemClock) {
    this.#host = host
    this.#hostMs = host.nowMs()
    this.#ownMs = this.#hostMs
    this.#wallOriginUs = host.wallClockUs() - this.#ownMs * 1_000
  }

  nowMs(): number {
    return this.#ownMs + (this.#host.nowMs() - this.#hostMs) * this.#rate
  }

  wallClockUs(): number {
    return Math.floor(this.#wallOriginUs + this.nowMs() * 1_000)
  }

  setTimer(run: () => void, ms: number): StopTimer {
    const timer: ControlledTimer = {
      dueMs: this.nowMs() + ms,
      run: () => {
        this.#timers.delete(timer)
        run()
      },
      stop: () => undefined,
    }
    this.#timers.add(timer)
    this.#arm(timer)
    return () => {
      timer.stop()
      this.#timers.delete(timer)
    }
  }

  /** From now on; 2 is twice as fast as the host's. @throws RangeError */
  setRate(rate: number): void {
    if (!(rate >= CLOCK_RATE_MIN && rate <= CLOCK_RATE_MAX)) {
      throw new RangeError(`a clock's rate must be ${CLOCK_RATE_MIN} to ${CLOCK_RATE_MAX}, not ${rate}`)
    }
    this.#turn({ rate, aheadMs: 0 })
  }

  /** Forward, at once. @throws RangeError */
  jump(ms: number): void {
    if (!(ms >= 0 && ms <= CLOCK_JUMP_MS_MAX)) {
      throw new RangeError(`a clock jumps by 0 to ${CLOCK_JUMP_MS_MAX} ms, not by ${ms}: it never goes back`)
    }
    this.#turn({ rate: this.#rate, aheadMs: ms })
  }

  #turn({ rate, aheadMs }: { readonly rate: number; readonly aheadMs: number }): void {
    const hostMs = this.#host.nowMs()
    this.#ownMs += (hostMs - this.#hostMs) * this.#rate + aheadMs
    this.#hostMs = hostMs
    this.#rate = rate
    for (const timer of this.#timers) this.#arm(timer)
  }

  #arm(timer: ControlledTimer): void {
    timer.stop()
    const waitMs = Math.max(0, (timer.dueMs - this.nowMs()) / this.#rate)
    timer.stop = this.#host.setTimer(timer.run, waitMs)
  }
}

type ControlledTimer = {
  /** On the controlled clock. */
  readonly dueMs: number
  readonly run: () => void
  /** The host's timer that runs for it now. */
  stop: StopTimer
}
