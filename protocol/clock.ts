/** Stops a timer; of one that went off already it does nothing. */
export type StopTimer = () => void

/** The time of one process: a fault may make it run fast, slow or ahead, where somebody injects another than the system's. */
export type Clock = {
  /** Monotonic, in ms, from an origin of its own. */
  nowMs(): number
  /** Microseconds since 1970. Never goes back while the process lives. */
  wallClockUs(): number
  setTimer(run: () => void, ms: number): StopTimer
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallClockUs: () => Math.floor((performance.timeOrigin + performance.now()) * 1_000),
  setTimer(run, ms) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}
