/** A victim misses at least this share of the iterations: half of them are writes, too many to be told one by one. */
export const DOWN_SHARE = 0.2
/** More would not leave the others room to come back. */
export const RESTARTS_MAX = 4
/** K where there are enough writes: as often as is still cheap, so that messages soon can't reach the victim. */
const CHECKPOINT_INTERVAL_MAX = 16
/** K sequence numbers to the checkpoint, a window of 2K, another of 2K that logs keep below it, and one K to spare. */
const INTERVALS_BEYOND_REACH = 6

export type CrashPoint = {
  /** The victim is killed once so many iterations are completed, or later, when the one before it is not back yet. */
  readonly at: number
  /** The loop is held before the iteration of this number until the victim is dead: else too few would be left. */
  readonly latest: number
  readonly victim: 'primary' | 'backup'
}

export type CrashPlan = {
  readonly points: readonly CrashPoint[]
  /** How many iterations each victim is down. */
  readonly downIterations: number
}

/**
 * Crashes spread evenly over a run, one after the other; every second victim is the primary of that moment.
 * @throws RangeError when they do not fit into so few iterations
 */
export function planCrashes({
  iterations,
  restarts,
}: {
  readonly iterations: number
  readonly restarts: number
}): CrashPlan {
  const downIterations = Math.ceil(iterations * DOWN_SHARE)
  if (restarts > RESTARTS_MAX || restarts * downIterations > iterations) {
    throw new RangeError(
      `${restarts} crash/recovers do not fit into ${iterations} iterations: each takes ${downIterations}`,
    )
  }
  const share = iterations / Math.max(1, restarts)
  const points = Array.from({ length: restarts }, (_, i): CrashPoint => {
    const at = Math.floor(i * share + (share - downIterations) / 3)
    const latest = iterations - downIterations * (restarts - i)
    return { at: Math.max(0, Math.min(at, latest)), latest, victim: i % 2 === 0 ? 'primary' : 'backup' }
  })
  return { points, downIterations }
}

/**
 * K for a cluster whose victims shall have to fetch a state: what they miss is several K. Writes of callers who wait side
 * by side share batches, and so take fewer sequence numbers.
 */
export function checkpointIntervalFor({
  iterations,
  concurrency,
}: {
  readonly iterations: number
  readonly concurrency: number
}): number {
  const missedSeqs = (iterations * DOWN_SHARE) / 2 / concurrency
  return Math.max(1, Math.min(CHECKPOINT_INTERVAL_MAX, Math.floor(missedSeqs / INTERVALS_BEYOND_REACH)))
}
