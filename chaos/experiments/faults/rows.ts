import { quorumOf } from '../../../protocol/quorum.ts'
import { type Spread, spreadOf } from '../statistics.ts'
import type { Cell } from './choices.ts'
import { type FaultRun, isSuccess, type Runtime } from './result.ts'

/** What agreement on a batch takes, and what a change of the view takes. */
const COMMIT_TYPES = ['pre-prepare', 'prepare', 'commit']
const VIEW_CHANGE_TYPES = ['view-change', 'new-view']

/** A line of the table: all runs of one cell. */
export type FaultRow = Cell & {
  readonly runtime: Runtime
  readonly f: number
  readonly runs: number
  /** Of the runs: all answered in time and nothing broken; nothing broken. */
  readonly successPercent: number
  readonly safePercent: number
  /** Of the writes of all runs. */
  readonly answeredPercent: number
  /** Over the answered writes of all runs; null when there are none. */
  readonly meanMs: number | null
  readonly p95Ms: number | null
  /** Of the runs' own means. */
  readonly meanSpread: Spread | null
  /** Per run. */
  readonly viewChanges: number
  /** Null where nothing was committed; null where no view was entered. */
  readonly messagesPerCommit: number | null
  readonly messagesPerViewChange: number | null
  readonly datagramsPerCommit: number | null
  /** Kinds of violations and how many runs they ended. */
  readonly broke: Readonly<Record<string, number>>
}

/** In order of their first runs. */
export const faultRowsOf = (runs: readonly FaultRun[]): FaultRow[] =>
  [...Map.groupBy(runs, keyOf).values()].map(rowOf)

const keyOf = ({ replicas, malicious, byzantine, drop }: Cell): string =>
  `${replicas}/${malicious}/${byzantine}/${drop}`

function rowOf(runs: readonly FaultRun[]): FaultRow {
  const [first] = runs
  if (first === undefined) throw new RangeError('a row of no runs')
  const { replicas, malicious, byzantine, drop, runtime } = first
  const sum = (figure: (run: FaultRun) => number) => runs.reduce((total, run) => total + figure(run), 0)
  const percent = (isTrue: (run: FaultRun) => boolean) => (100 * runs.filter(isTrue).length) / runs.length
  const sent = (types: readonly string[]) =>
    sum(({ messages }) => types.reduce((total, type) => total + (messages[type] ?? 0), 0))
  const latencies = runs.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b)
  const means = runs.flatMap(({ latenciesMs }) => meanOf(latenciesMs) ?? [])
  const batches = sum((run) => run.batches)
  const viewChanges = sum((run) => run.viewChanges)
  return {
    ...{ replicas, malicious, byzantine, drop, runtime },
    f: quorumOf(replicas).f,
    runs: runs.length,
    successPercent: percent(isSuccess),
    safePercent: percent(({ violation }) => violation === null),
    answeredPercent: (100 * latencies.length) / sum(({ writes }) => writes),
    meanMs: meanOf(latencies),
    p95Ms: latencies[Math.ceil(0.95 * latencies.length) - 1] ?? null,
    meanSpread: means.length === 0 ? null : spreadOf(means),
    viewChanges: viewChanges / runs.length,
    messagesPerCommit: ratio(sent(COMMIT_TYPES), batches),
    messagesPerViewChange: ratio(sent(VIEW_CHANGE_TYPES), viewChanges),
    datagramsPerCommit: runs.some(({ datagrams }) => datagrams === null)
      ? null
      : ratio(
          sum(({ datagrams }) => datagrams ?? 0),
          batches,
        ),
    broke: countsOf(runs.flatMap(({ violation }) => (violation === null ? [] : [kindOf(violation)]))),
  }
}

/** Violations begin with what kind they are. */
const kindOf = (violation: string): string => violation.slice(0, violation.indexOf(':'))

const countsOf = (words: readonly string[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(words, (word) => word)].map(([word, all]) => [word, all.length]))

const ratio = (of: number, per: number): number | null => (per === 0 ? null : of / per)

const meanOf = (values: readonly number[]): number | null =>
  ratio(
    values.reduce((total, value) => total + value, 0),
    values.length,
  )
