import type { Percentiles } from './result.ts'
import type { Row } from './rows.ts'
import type { Spread } from './statistics.ts'

type Column = { readonly name: string; readonly value: (row: Row) => number }

const spreadColumns = (name: string, of: (row: Row) => Spread): Column[] => [
  { name: `${name}_median`, value: (row) => of(row).median },
  { name: `${name}_low`, value: (row) => of(row).low },
  { name: `${name}_high`, value: (row) => of(row).high },
]

const latencyColumns = (kind: 'read' | 'write'): Column[] => {
  const shares: readonly (keyof Percentiles)[] = ['p50', 'p95', 'p99', 'max']
  return shares.map((share) => ({
    name: `${kind}_${share}_ms`,
    value: (row) => row.latencyMs[kind][share],
  }))
}

const COLUMNS: readonly Column[] = [
  { name: 'iterations', value: (row) => row.iterations },
  { name: 'restarts', value: (row) => row.restarts },
  { name: 'fault_plan', value: (row) => (row.hasFaultPlan ? 1 : 0) },
  { name: 'runs', value: (row) => row.runs },
  { name: 'read', value: (row) => row.reads.median },
  { name: 'write', value: (row) => row.writes.median },
  ...spreadColumns('time_s', (row) => row.seconds),
  ...spreadColumns('iterations_per_s', (row) => row.iterationsPerSecond),
  ...spreadColumns('view_change', (row) => row.viewChanges),
  ...spreadColumns('crash_recover', (row) => row.crashRecovers),
  ...spreadColumns('state_transfer', (row) => row.stateTransfers),
  ...spreadColumns('batches_caught_up', (row) => row.batchesCaughtUp),
  { name: 'interval_coverage', value: (row) => row.seconds.coverage },
  { name: 'accuracy_percent', value: (row) => row.accuracyPercent },
  ...latencyColumns('read'),
  ...latencyColumns('write'),
]

/** A line per row of the table. Only names and numbers: nothing needs quotes. */
export const csvOf = (rows: readonly Row[]): string =>
  [COLUMNS.map(({ name }) => name), ...rows.map((row) => COLUMNS.map(({ value }) => String(value(row))))]
    .map((line) => `${line.join(',')}\n`)
    .join('')
