import { readFile } from 'node:fs/promises'
import type { Genesis } from '../../../protocol/config.ts'
import { EXTERNAL_ACCOUNT } from '../../../protocol/operations.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { bundlePaths } from '../../../replica/runtime/bundle.ts'
import type { TraceLine } from '../../../replica/runtime/message-trace.ts'
import { scanVoteLog } from '../../../replica/runtime/vote-log/offline-scan.ts'
import { decodeRecord } from '../../../replica/runtime/vote-log/record-codec.ts'
import { type CheckReport, check } from '../../check/check.ts'
import { dumpDatabase } from '../../check/dump/dump-database.ts'
import type { DumpedDatabase } from '../../check/dump/dumped-database.ts'
import type { PropertyReport, PropertyVerdict } from '../../check/finding.ts'
import { logsBelow } from '../../check/logs/log-sources.ts'
import { readDump } from '../../check/run-sources.ts'
import { type Judgement, NOBODY_CORRECT, type ReplicaEvidence } from '../evidence.ts'
import { OPENING_BALANCE, type Role } from '../scenario.ts'

/** Where what is judged of one replica lies. */
export type Remains = {
  readonly replica: number
  readonly role: Role
  readonly bundle: string
  readonly databaseUrl: string
  /** Where its rows are written to. */
  readonly dump: string
}

export type Gathered = {
  readonly remains: Remains
  readonly database: DumpedDatabase | undefined
  /** Why there is no database. */
  readonly unreadable: string | undefined
}

/** Databases first, so that the logs know all that they hold. */
export async function dump(remains: Remains): Promise<Gathered> {
  const { databases, unreadable } = await readDump(remains.replica, async () => {
    await dumpDatabase(remains.databaseUrl, remains.dump)
    return remains.dump
  })
  return { remains, database: databases[0], unreadable: unreadable[0]?.reason }
}

export async function evidenceOf({ remains, database }: Gathered): Promise<ReplicaEvidence> {
  const { replica, role, bundle } = remains
  const paths = bundlePaths(bundle)
  return {
    replica,
    role,
    lastExecuted: database?.meta.lastExecuted ?? 0,
    chain: database?.meta.chain ?? '',
    balances:
      database === undefined
        ? null
        : new Map([...database.allRows('accounts')].map(({ id, balance }) => [id, balance])),
    lanes: database === undefined ? [] : [...database.allRows('client_table')],
    records: await recordsOf(paths.votes),
    messages: await messagesOf(paths.messages),
  }
}

async function recordsOf(votes: string): Promise<VoteRecord[]> {
  const records: VoteRecord[] = []
  for await (const segment of scanVoteLog(votes)) {
    records.push(...segment.records.flatMap(({ payload }) => decodeRecord(payload) ?? []))
  }
  return records
}

/** A line that a kill cut short says nothing. */
async function messagesOf(file: string): Promise<TraceLine[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => traceLineFrom(line) ?? [])
}

export function traceLineFrom(line: string): TraceLine | undefined {
  try {
    const parsed: unknown = JSON.parse(line)
    return isTraceLine(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

const isTraceLine = (value: unknown): value is TraceLine =>
  typeof value === 'object' && value !== null && 'atMs' in value && ('type' in value || 'event' in value)

/** Of the correct ones alone: what liars left is neither looked at nor missed. */
export async function judge(
  gathered: readonly Gathered[],
  by: { readonly genesis: Genesis; readonly history: string; readonly liars: ReadonlySet<number> },
): Promise<Judgement> {
  const correct = gathered.filter(({ remains }) => !by.liars.has(remains.replica))
  if (correct.length === 0) return NOBODY_CORRECT
  const logs = await Promise.all(correct.map(({ remains }) => logsBelow(remains.bundle, remains.replica)))
  const report = await check({
    genesis: by.genesis,
    logs: logs.flat(),
    databases: correct.flatMap(({ database }) => database ?? []),
    unreadable: correct.flatMap(({ remains, unreadable }) =>
      unreadable === undefined ? [] : [{ replica: remains.replica, reason: unreadable }],
    ),
    doubts: [],
    history: by.history,
    samples: null,
    liars: [...by.liars],
    expected: { logs: true, wholeLogs: true, history: true },
  })
  if (isUntouched(report, correct)) return { verdict: 'pass', summary: UNTOUCHED, properties: [] }
  return judgementOf(report)
}

/**
 * Where nobody was told anything there is no answer to be wrong: that the history's properties had nothing to look at
 * leaves no doubt here, as it would behind a load.
 */
export function judgementOf(report: CheckReport): Judgement {
  const properties = report.properties.filter((one) => !isAboutNothing(one))
  const isOpen = properties.some(({ verdict, isExpected }) => verdict === 'unknown' && isExpected)
  const verdict = report.verdict === 'unknown' && !isOpen ? 'pass' : report.verdict
  return { verdict, summary: summaryOf({ ...report, properties }), properties: report.properties }
}

const OF_ANSWERS: readonly string[] = ['answers', 'serializability']

const isAboutNothing = ({ property, verdict, checked, notChecked }: PropertyReport): boolean =>
  OF_ANSWERS.includes(property) && verdict === 'unknown' && checked === null && notChecked.length === 0

const UNTOUCHED = 'nothing was executed anywhere, and every database holds what it was opened with'

/** Then there is nothing that most properties could be about. */
const isUntouched = (report: CheckReport, correct: readonly Gathered[]): boolean =>
  report.batches === 0 &&
  report.properties.every(({ verdict }) => verdict !== 'fail') &&
  correct.every(({ database }) => database !== undefined && isAsOpened(database))

const isAsOpened = (database: DumpedDatabase): boolean =>
  database.meta.lastExecuted === 0 &&
  [...database.allRows('accounts')].every(
    ({ id, balance }) => id === EXTERNAL_ACCOUNT || balance === OPENING_BALANCE,
  )

function summaryOf({ properties, databases, batches, operations, signatures, calls }: CheckReport): string {
  const namesOf = (wanted: PropertyVerdict) =>
    properties
      .filter(({ verdict, isExpected }) => verdict === wanted && (wanted === 'fail' || isExpected))
      .map(({ property }) => property)
      .join(', ')
  const of = `${databases.length} databases, ${batches} batches, ${operations} operations, ${signatures} signatures, ${calls} calls`
  if (namesOf('fail') !== '') return `does not hold: ${namesOf('fail')} (${of})`
  if (namesOf('unknown') !== '') return `cannot be told: ${namesOf('unknown')} (${of})`
  return `everything that was checked holds (${of})`
}
