import { table } from '../../../client/format.ts'
import { isWithinBound } from './choices.ts'
import { type FaultRun, type FaultsResult, isSuccess } from './result.ts'
import { type FaultRow, faultRowsOf } from './rows.ts'

const HEAD = [
  'n',
  'malicious',
  'drop',
  'runs',
  'success',
  'answered',
  'safe',
  'mean (ms)',
  'p95 (ms)',
  'view changes',
  'messages/commit',
  'messages/view change',
  'what broke',
]

/** A table for each attack, and what should not have been. */
export function describeFaults({ runs, settings, isComplete }: FaultsResult): string {
  const { delayMs, writes, clients, deadlineMs, runtime } = settings
  const attacks = Map.groupBy(faultRowsOf(runs), ({ byzantine }) => byzantine)
  const tables = [...attacks].map(
    ([byzantine, rows]) => `malicious replicas do: ${byzantine}\n${table(HEAD, rows.map(cells))}\n`,
  )
  const lines = [
    ...tables,
    `${runtime === 'sim' ? 'simulated time' : 'real processes'}; each run ${writes} writes of ${clients} clients, to be answered within ${deadlineMs / 1_000} s; latency ${delayMs.min} to ${delayMs.max} ms each way`,
    "mean: over all answered writes [interval around the median of the runs' means]; * is more than f",
    'messages: what correct replicas sent, once per receiver; repetitions by the channel are not among them',
  ]
  if (!isComplete) lines.push('It did not run to its end: runs are missing.')
  lines.push(...failuresWithinBound(runs).map(describeFailure))
  return lines.join('\n')
}

/** With at most f malicious replicas every run has to succeed. */
export const failuresWithinBound = (runs: readonly FaultRun[]): FaultRun[] =>
  runs.filter((run) => isWithinBound(run) && !isSuccess(run))

function describeFailure(run: FaultRun): string {
  const { replicas, malicious, byzantine, drop, seed, latenciesMs, writes, violation } = run
  const where = `n = ${replicas}, ${malicious} malicious (${byzantine}), drop ${drop}, seed ${seed}`
  return `not as it must be: ${where}: ${violation ?? `${latenciesMs.length} of ${writes} writes answered in time`}`
}

const cells = (row: FaultRow): string[] => [
  `${row.replicas}`,
  `${row.malicious}${isWithinBound(row) ? '' : '*'}`,
  `${row.drop}`,
  `${row.runs}`,
  percent(row.successPercent),
  percent(row.answeredPercent),
  percent(row.safePercent),
  meanOf(row),
  round(row.p95Ms, 0),
  row.viewChanges.toFixed(1),
  round(row.messagesPerCommit, 1),
  round(row.messagesPerViewChange, 1),
  Object.entries(row.broke)
    .map(([kind, times]) => `${kind} ${times}`)
    .join(', '),
]

const percent = (value: number): string => `${value.toFixed(0)} %`
const round = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '-'

function meanOf({ meanMs, meanSpread }: FaultRow): string {
  if (meanMs === null || meanSpread === null) return '-'
  const { low, high } = meanSpread
  return low === high ? round(meanMs, 0) : `${round(meanMs, 0)} [${round(low, 0)}, ${round(high, 0)}]`
}
