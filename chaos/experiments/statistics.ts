/** A figure over several runs. `low` to `high` holds the true median with probability `coverage`. */
export type Spread = {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly coverage: number
}

const WANTED_COVERAGE = 0.95

/** @param values at least one */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const { rank, coverage } = medianInterval(sorted.length)
  return {
    median: medianOf(sorted),
    low: at(sorted, rank - 1),
    high: at(sorted, sorted.length - rank),
    coverage,
  }
}

/**
 * Order statistics, which assume nothing of how the values are distributed: each of n runs is below the true median with
 * probability 1/2, so the rank-th smallest and the rank-th largest value enclose it unless fewer than `rank` runs fell
 * on one side: 1 - 2 P(Binomial(n, 1/2) < rank). The largest rank that reaches 95 % is taken; from 6 runs on there is
 * one. With fewer it is the smallest and the largest value, and `coverage` says how little that is (3 runs: 75 %).
 */
export function medianInterval(runs: number): { readonly rank: number; readonly coverage: number } {
  let best = { rank: 1, coverage: coverageOf(runs, 1) }
  for (let rank = 2; 2 * rank <= runs + 1; rank++) {
    const coverage = coverageOf(runs, rank)
    if (coverage < WANTED_COVERAGE) break
    best = { rank, coverage }
  }
  return best
}

/** @param values at least one */
export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

function coverageOf(runs: number, rank: number): number {
  let below = 0
  let ways = 1
  for (let k = 0; k < rank; k++) {
    below += ways
    ways = (ways * (runs - k)) / (k + 1)
  }
  return Math.max(0, 1 - (2 * below) / 2 ** runs)
}

function medianOf(sorted: readonly number[]): number {
  const middle = (sorted.length - 1) / 2
  return (at(sorted, Math.floor(middle)) + at(sorted, Math.ceil(middle))) / 2
}

function at(sorted: readonly number[], index: number): number {
  const value = sorted[index]
  if (value === undefined) throw new RangeError('a figure over no runs')
  return value
}
