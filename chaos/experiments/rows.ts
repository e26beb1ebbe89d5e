import type { Percentiles, RunResult } from './result.ts'
import { type Spread, spreadOf } from './statistics.ts'

/** A line of the paper's table: all runs of one number of iterations, without faults or with them. */
export type Row = {
  readonly iterations: number
  readonly restarts: number
  readonly hasFaultPlan: boolean
  readonly runs: number
  readonly reads: Spread
  readonly writes: Spread
  readonly seconds: Spread
  readonly iterationsPerSecond: Spread
  readonly viewChanges: Spread
  readonly crashRecovers: Spread
  readonly stateTransfers: Spread
  readonly batchesCaughtUp: Spread
  /** The share of runs of which the checker said that all databases are as they should be. */
  readonly accuracyPercent: number
  /** Medians over the runs of each run's percentiles. */
  readonly latencyMs: { readonly read: Percentiles; readonly write: Percentiles }
}

/** In the order in which they first ran. */
export function rowsOf(runs: readonly RunResult[]): Row[] {
  return [...Map.groupBy(runs, keyOf).values()].map(rowOf)
}

/** What makes two runs repetitions of each other. */
export const keyOf = ({
  iterations,
  restarts,
  hasFaultPlan,
}: Pick<RunResult, 'iterations' | 'restarts' | 'hasFaultPlan'>): string =>
  `${iterations}/${restarts}/${hasFaultPlan}`

function rowOf(runs: readonly RunResult[]): Row {
  const [first] = runs
  if (first === undefined) throw new RangeError('a row of no runs')
  const { iterations, restarts, hasFaultPlan } = first
  const spread = (figure: (run: RunResult) => number) => spreadOf(runs.map(figure))
  const latencies = (kind: 'read' | 'write'): Percentiles => {
    const median = (share: keyof Percentiles) => spread((run) => run.latencyMs[kind][share]).median
    return { p50: median('p50'), p95: median('p95'), p99: median('p99'), max: median('max') }
  }
  return {
    ...{ iterations, restarts, hasFaultPlan, runs: runs.length },
    reads: spread((run) => run.reads),
    writes: spread((run) => run.writes),
    seconds: spread((run) => run.seconds),
    iterationsPerSecond: spread((run) => (run.seconds === 0 ? 0 : run.iterations / run.seconds)),
    viewChanges: spread((run) => run.viewChanges),
    crashRecovers: spread((run) => run.crashes.length),
    stateTransfers: spread((run) => run.stateTransfers),
    batchesCaughtUp: spread((run) => run.batchesCaughtUp),
    accuracyPercent: (100 * runs.filter(({ verdict }) => verdict === 'pass').length) / runs.length,
    latencyMs: { read: latencies('read'), write: latencies('write') },
  }
}
