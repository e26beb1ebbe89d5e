import type { LinkCounters } from '../live/faulty-link.ts'
import type { FaultEvent } from '../live/interpreter.ts'
import type { Demand } from '../plan/plan.ts'
import type { DemandOutcome } from './verdict.ts'

type LogLine = Readonly<Record<string, unknown>>

/** What there is to tell what happened in a run. */
export type Happened = {
  /** The lines of each replica's log, by replica. */
  readonly logs: ReadonlyMap<number, readonly LogLine[]>
  readonly faults: readonly FaultEvent[]
  /** Of all links together. */
  readonly datagrams: LinkCounters
}

type Seen = { readonly count: number; readonly example: string | null }

/** How often each demanded event happened, and one example. */
export const demandOutcomes = (demands: readonly Demand[], happened: Happened): DemandOutcome[] =>
  demands.map((demand) => ({ demand, ...LOOKS[demand](happened) }))

const isKind =
  (kind: string) =>
  (line: LogLine): boolean =>
    line.kind === kind

const number = (line: LogLine, field: string): number => {
  const value = line[field]
  return typeof value === 'number' ? value : 0
}

const looksAt =
  (is: (line: LogLine) => boolean, words: (line: LogLine) => string) =>
  ({ logs }: Happened): Seen => {
    const found = [...logs].flatMap(([replica, lines]) => lines.filter(is).map((line) => ({ replica, line })))
    const [first] = found
    const example = first === undefined ? null : `replica ${first.replica} ${words(first.line)}`
    return { count: found.length, example }
  }

const struck =
  (is: (event: FaultEvent) => boolean) =>
  ({ faults }: Happened): Seen => {
    const found = faults.filter((event) => event.phase === 'begin' && is(event))
    const [first] = found
    const example = first === undefined ? null : `${first.kind} ${first.action}: ${first.detail}`
    return { count: found.length, example }
  }

const datagrams =
  (counter: keyof LinkCounters) =>
  ({ datagrams: counts }: Happened): Seen => {
    const count = counts[counter]
    return { count, example: count === 0 ? null : `${count} ${counter}` }
  }

const enteredView = looksAt(isKind('view-entered'), (line) => `entered view ${number(line, 'view')}`)

/** Views above the first that some replica entered. */
function severalViews({ logs }: Happened): Seen {
  const views = new Set(
    [...logs.values()].flatMap((lines) =>
      lines.filter(isKind('view-entered')).map((line) => number(line, 'view')),
    ),
  )
  const sorted = [...views].sort((a, b) => a - b)
  return {
    count: Math.max(0, views.size - 1),
    example: sorted.length < 2 ? null : `views ${sorted.join(', ')}`,
  }
}

const LOOKS: Readonly<Record<Demand, (happened: Happened) => Seen>> = {
  'view-change': enteredView,
  'several-view-changes': severalViews,
  'catch-up-by-messages': looksAt(
    (line) => line.kind === 'caught-up' && number(line, 'proof') + number(line, 'words') > 0,
    (line) => `took ${number(line, 'count')} batches from ${number(line, 'from')} to ${number(line, 'to')}`,
  ),
  'state-transfer': looksAt(
    isKind('transfer-installed'),
    (line) => `installed the state at ${number(line, 'seq')}`,
  ),
  'state-transfer-with-rows': looksAt(
    (line) => line.kind === 'transfer-installed' && number(line, 'rows') > 0,
    (line) => `fetched ${number(line, 'rows')} rows of the state at ${number(line, 'seq')}`,
  ),
  redo: looksAt(
    isKind('redone'),
    (line) => `redid ${number(line, 'count')} batches from ${number(line, 'from')} to ${number(line, 'to')}`,
  ),
  repair: looksAt(isKind('repaired'), (line) => String(line.msg)),
  'database-reconnect': looksAt(
    (line) => line.msg === 'database reached again',
    (line) => `reached its database again, at ${number(line, 'lastExecuted')}`,
  ),
  'amnesiac-votes-again': looksAt(isKind('amnesiac-votes-again'), () => 'votes again'),
  'power-cut-of-all': powerCuts,
  partition: struck(({ action }) => action === 'partition'),
  'datagrams-lost': datagrams('lost'),
  'datagrams-delayed': datagrams('delayed'),
  'datagrams-duplicated': datagrams('duplicated'),
  'datagrams-reordered': datagrams('reordered'),
  'datagrams-corrupted': datagrams('corrupted'),
  'datagrams-replayed': datagrams('replayed'),
  'clock-changed': struck(({ kind }) => kind === 'TimeChaos'),
}

function powerCuts(happened: Happened): Seen {
  const isOfAll = ({ action, targets }: FaultEvent) =>
    action === 'power-loss' && targets.length === happened.logs.size
  return struck(isOfAll)(happened)
}
