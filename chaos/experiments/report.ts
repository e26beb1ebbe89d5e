import { table } from '../../client/format.ts'
import { PAPER } from './paper.ts'
import type { ExperimentResult, Percentiles, RunResult } from './result.ts'
import { keyOf, type Row, rowsOf } from './rows.ts'
import type { Spread } from './statistics.ts'

const HEAD = [
  'iterations',
  'faults',
  'runs',
  'read',
  'write',
  'time (s)',
  'iterations/s',
  'view_change',
  'crash/recover',
  'state transfers',
  'accuracy',
]
const LATENCY_HEAD = ['iterations', 'faults', 'read p50', 'p95', 'p99', 'write p50', 'p95', 'p99']

/** The paper's table over all runs, with the paper's own figures under each number of iterations that it has. */
export function describeResult({ runs, settings, isComplete }: ExperimentResult): string {
  const rows = rowsOf(runs)
  const lines = [
    table(HEAD, rowsBesidePaper(rows)),
    '',
    `latency in ms, medians over the runs\n${table(LATENCY_HEAD, rows.map(latencyCells))}`,
    '',
    describeInterval(rows),
    `checkpoints every ${[...new Set(runs.map((run) => run.checkpointInterval))].join(', ')} batches`,
  ]
  if (!isComplete) lines.push('It did not run to its end: runs are missing.')
  if (settings.isInMemory)
    lines.push('The files were in memory: fsync costs nothing there, a disk gives other figures.')
  lines.push(...runs.flatMap(describeTrouble))
  return lines.join('\n')
}

function rowsBesidePaper(rows: readonly Row[]): string[][] {
  const lastOf = new Map(rows.map((row, i) => [row.iterations, i]))
  return rows.flatMap((row, i) => {
    const paper = PAPER.find(({ iterations }) => iterations === row.iterations)
    if (paper === undefined || lastOf.get(row.iterations) !== i) return [cells(row)]
    const { iterations, seconds, viewChanges, crashRecovers, accuracyPercent } = paper
    return [
      cells(row),
      [
        ...[
          grouped(iterations),
          'the paper',
          '',
          grouped(iterations / 2),
          grouped(iterations / 2),
          `${seconds}`,
        ],
        ...[
          grouped(Math.round(iterations / seconds)),
          `${viewChanges}`,
          `${crashRecovers}`,
          '',
          `${accuracyPercent} %`,
        ],
      ],
    ]
  })
}

const cells = (row: Row): string[] => [
  grouped(row.iterations),
  faultsOf(row),
  `${row.runs}`,
  spread(row.reads, 0),
  spread(row.writes, 0),
  spread(row.seconds, 2),
  spread(row.iterationsPerSecond, 0),
  spread(row.viewChanges, 0),
  spread(row.crashRecovers, 0),
  spread(row.stateTransfers, 0),
  `${round(row.accuracyPercent, 0)} %`,
]

const latencyCells = (row: Row): string[] => {
  const three = ({ p50, p95, p99 }: Percentiles) => [p50, p95, p99].map((ms) => round(ms, 2))
  return [grouped(row.iterations), faultsOf(row), ...three(row.latencyMs.read), ...three(row.latencyMs.write)]
}

function faultsOf({ restarts, hasFaultPlan }: Pick<Row, 'restarts' | 'hasFaultPlan'>): string {
  const parts = [restarts > 0 ? `${restarts} x crash` : '', hasFaultPlan ? 'plan' : ''].filter(
    (part) => part !== '',
  )
  return parts.length > 0 ? parts.join(', ') : 'none'
}

function describeInterval(rows: readonly Row[]): string {
  const runs = Math.min(...rows.map((row) => row.runs))
  if (rows.length === 0 || runs < 2) return 'one run each: nothing can be said of how much they vary'
  const { coverage } = rows.find((row) => row.runs === runs)?.seconds ?? { coverage: 0 }
  return `median over ${runs} runs [interval that holds the true median with ${round(100 * coverage, 1)} % probability]`
}

/** A line for a run whose databases are not known to be right, or that left a call without an answer. */
function describeTrouble(run: RunResult): string[] {
  const where = `${grouped(run.iterations)} iterations, faults ${faultsOf(run)}, run ${run.run}, seed ${run.seed}`
  const kept = run.directory === null ? '' : `; its cluster is in ${run.directory}`
  const verdict = run.verdict === 'pass' ? [] : [`${where}: ${run.verdict}: ${run.why.join('; ')}${kept}`]
  const calls = run.unanswered === 0 ? [] : [`${where}: ${run.unanswered} writes without an answer`]
  return [...verdict, ...calls]
}

const COMPARED_HEAD = [
  'iterations',
  'faults',
  '',
  'runs',
  'time (s)',
  'write p50',
  'write p99',
  'view_change',
  'accuracy',
]

/** Two files of results side by side, and what the second's time is of the first's. */
export function compareResults(
  results: readonly { readonly name: string; readonly result: ExperimentResult }[],
): string {
  const sides = results.map(({ name, result }) => ({
    name,
    result,
    rows: new Map(rowsOf(result.runs).map((row) => [keyOf(row), row])),
  }))
  const keys = [...new Set(sides.flatMap(({ rows }) => [...rows.keys()]))]
  const lines = keys.flatMap((key) => {
    const found = sides.flatMap(({ name, rows }) => {
      const row = rows.get(key)
      return row === undefined ? [] : [{ name, row }]
    })
    const first = found[0]?.row.seconds.median
    return found.map(({ name, row }, i) => comparedCells(row, { name, first: i === 0 ? undefined : first }))
  })
  const machines = sides.map(({ name, result: { machine, settings, startedAt } }) => {
    const { replicas, concurrency, postgres } = settings
    return `${name}: ${startedAt}, ${machine.cpu}, ${machine.cores} cores, node ${machine.node}; ${replicas} replicas, ${concurrency} callers, ${postgres}`
  })
  return [table(COMPARED_HEAD, lines), '', ...machines].join('\n')
}

function comparedCells(
  row: Row,
  { name, first }: { readonly name: string; readonly first: number | undefined },
): string[] {
  const share =
    first === undefined || first === 0 ? '' : ` (${round((100 * row.seconds.median) / first, 0)} %)`
  return [
    grouped(row.iterations),
    faultsOf(row),
    name,
    `${row.runs}`,
    `${spread(row.seconds, 2)}${share}`,
    round(row.latencyMs.write.p50, 2),
    round(row.latencyMs.write.p99, 2),
    spread(row.viewChanges, 0),
    `${round(row.accuracyPercent, 0)} %`,
  ]
}

const grouped = (value: number): string => value.toLocaleString('en-US')
const round = (value: number, digits: number): string => value.toFixed(digits)

/** An interval of no width says nothing. Half a view is what a median of an even number of runs may be. */
function spread({ median, low, high }: Spread, digits: number): string {
  const show = (value: number) =>
    Number.isInteger(value) && digits === 0 ? grouped(value) : round(value, Math.max(1, digits))
  return low === high ? show(median) : `${show(median)} [${show(low)}, ${show(high)}]`
}
