import type { FaultRow } from './rows.ts'

type Column = { readonly name: string; readonly value: (row: FaultRow) => number | string | null }

const COLUMNS: readonly Column[] = [
  { name: 'runtime', value: (row) => row.runtime },
  { name: 'byzantine', value: (row) => row.byzantine },
  { name: 'replicas', value: (row) => row.replicas },
  { name: 'f', value: (row) => row.f },
  { name: 'malicious', value: (row) => row.malicious },
  { name: 'drop', value: (row) => row.drop },
  { name: 'runs', value: (row) => row.runs },
  { name: 'success_percent', value: (row) => row.successPercent },
  { name: 'answered_percent', value: (row) => row.answeredPercent },
  { name: 'safe_percent', value: (row) => row.safePercent },
  { name: 'latency_mean_ms', value: (row) => row.meanMs },
  { name: 'latency_p95_ms', value: (row) => row.p95Ms },
  { name: 'run_mean_median_ms', value: (row) => row.meanSpread?.median ?? null },
  { name: 'run_mean_low_ms', value: (row) => row.meanSpread?.low ?? null },
  { name: 'run_mean_high_ms', value: (row) => row.meanSpread?.high ?? null },
  { name: 'interval_coverage', value: (row) => row.meanSpread?.coverage ?? null },
  { name: 'view_changes_per_run', value: (row) => row.viewChanges },
  { name: 'messages_per_commit', value: (row) => row.messagesPerCommit },
  { name: 'messages_per_view_change', value: (row) => row.messagesPerViewChange },
  { name: 'datagrams_per_commit', value: (row) => row.datagramsPerCommit },
  { name: 'broke', value: ({ broke }) => Object.keys(broke).join(' ') },
]

/** A line per row of the table; a figure that there is none of is empty. */
export const faultsCsvOf = (rows: readonly FaultRow[]): string =>
  [COLUMNS.map(({ name }) => name), ...rows.map((row) => COLUMNS.map(({ value }) => cell(value(row))))]
    .map((line) => `${line.join(',')}\n`)
    .join('')

/** Behaviours have commas between what they are aimed at. */
function cell(value: number | string | null): string {
  if (value === null) return ''
  const text = `${value}`
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
