import type { CheckReport } from '../../chaos/check/check.ts'
import type { Finding, PropertyReport } from '../../chaos/check/finding.ts'
import type { Places } from '../../chaos/check/run-sources.ts'
import { table } from '../../client/format.ts'
import { grouped, plural } from '../words.ts'

const CHAIN_SHOWN = 16
/** Findings of one property that are explained in full; of others a line. */
const EXPLAINED_MAX = 3

/** For people: a line per property, then what was found and what was not looked at, and the verdict last. */
export const reportLines = (report: CheckReport, places: Places): string[] => [
  ...databaseLines(report, places),
  ...propertyLines(report.properties),
  '',
  verdictLine(report),
]

/** What is said of each property, what was found, and what was not looked at. */
export const propertyLines = (properties: readonly PropertyReport[]): string[] => [
  table(
    ['property', 'verdict', 'checked', ''],
    properties.map((one) => [one.property, one.verdict, rangeOf(one), one.notes[0] ?? '']),
  ),
  ...properties.flatMap(findingLines),
  ...notCheckedLines(properties),
]

function databaseLines({ databases }: CheckReport, places: Places): string[] {
  if (databases.length === 0) return []
  const rows = databases.map(({ replica, lastExecuted, chain }) => [
    `${replica}`,
    `${lastExecuted}`,
    chain.slice(0, CHAIN_SHOWN),
    places.get(replica) ?? '',
  ])
  return [table(['replica', 'last_executed', 'chain', 'database'], rows), '']
}

/** Calls are numbered, too. */
const UNIT: Readonly<Record<PropertyReport['property'], string>> = {
  agreement: 'seq',
  chain: 'seq',
  proof: 'seq',
  validity: 'seq',
  'exactly-once': 'seq',
  answers: 'call',
  conservation: 'seq',
  replay: 'seq',
  monotonicity: 'seq',
  serializability: 'call',
  linearizability: 'call',
}

function rangeOf({ property, checked }: PropertyReport): string {
  if (checked === null) return '-'
  const { from, to, count } = checked
  return `${UNIT[property]} ${from} to ${to} (${grouped(count)})`
}

function findingLines({ property, findings }: PropertyReport): string[] {
  return findings.flatMap(({ what, details }: Finding, index) => [
    ...(index === 0 ? [''] : []),
    `${property}: ${what}`,
    ...(index < EXPLAINED_MAX ? details.map((line) => `    ${line}`) : []),
  ])
}

function notCheckedLines(properties: readonly PropertyReport[]): string[] {
  const byReason = new Map<string, string[]>()
  for (const { property, notChecked } of properties) {
    for (const why of notChecked) byReason.set(why, [...(byReason.get(why) ?? []), property])
  }
  if (byReason.size === 0) return []
  return ['', ...[...byReason].map(([why, names]) => `not checked (${names.join(', ')}): ${why}`)]
}

function verdictLine({
  verdict,
  properties,
  databases,
  batches,
  operations,
  signatures,
  calls,
}: CheckReport): string {
  const of = [
    plural(databases.length, 'database'),
    plural(batches, 'batch', 'batches'),
    plural(operations, 'operation'),
    plural(signatures, 'signature'),
    ...(calls > 0 ? [plural(calls, 'call')] : []),
  ].join(', ')
  const named = (wanted: PropertyReport['verdict']) =>
    properties
      .filter((one) => one.verdict === wanted && (wanted === 'fail' || one.isExpected))
      .map((one) => one.property)
  switch (verdict) {
    case 'pass':
      return `pass: everything that was checked holds (${of})`
    case 'fail':
      return `FAIL: ${named('fail').join(', ')} ${named('fail').length === 1 ? 'does' : 'do'} not hold (${of})`
    case 'unknown':
      return `unknown: it can't be told whether everything holds: ${named('unknown').join(', ')} (${of})`
  }
}
