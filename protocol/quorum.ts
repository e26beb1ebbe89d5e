/** The one place that computes thresholds. n >= 4 replicas, of which f may be faulty. */
export type Quorum = {
  readonly n: number
  /** Tolerated faults: floor((n-1)/3). */
  readonly f: number
  /** Any two quorums share a correct replica: ceil((n+f+1)/2), 2f+1 where n = 3f+1. */
  readonly quorum: number
  /** At least one of these is correct: f+1. */
  readonly weak: number
}

export const REPLICAS_MIN = 4

/** @throws RangeError when n < REPLICAS_MIN: fewer cannot tolerate one fault. */
export function quorumOf(n: number): Quorum {
  if (!Number.isInteger(n) || n < REPLICAS_MIN) {
    throw new RangeError(`a cluster needs at least ${REPLICAS_MIN} replicas to tolerate one fault, not ${n}`)
  }
  const f = Math.floor((n - 1) / 3)
  return { n, f, quorum: Math.ceil((n + f + 1) / 2), weak: f + 1 }
}
