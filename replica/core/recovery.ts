import type { ViewChange } from '../../protocol/messages.ts'
import type { Digest, LogPosition, Seq, View } from '../../protocol/types.ts'
import type { Checkpoints, StableRecord } from './checkpoint.ts'
import type { CoreParts } from './core.ts'
import type { Fault } from './effect.ts'
import type { DatabaseState, RowMismatch } from './event.ts'
import { type EnteredView, type LoggedViews, pendingOf } from './views.ts'
import { seqOfRecord, type VoteRecord } from './vote-record.ts'

type RecordOf<Kind extends VoteRecord['kind']> = Extract<VoteRecord, { kind: Kind }>

/** [D1] What a vote log says, sorted out. */
export type Recovered = {
  readonly records: readonly VoteRecord[]
  readonly stable: StableRecord | null
  readonly views: LoggedViews
  /** The view entered last. */
  readonly view: View
  /** The view that a VIEW-CHANGE was sent for and that was not entered. */
  readonly pending: View | null
  /** What the entered view's NEW-VIEW decided up to; 0 in view 0. */
  readonly orderedUpTo: Seq
  readonly amnesiac: boolean
  readonly recovered: RecordOf<'recovered'> | null
  readonly committedInLog: Seq
}

export function sortOut(records: readonly VoteRecord[]): Recovered {
  const views: LoggedViews = { viewChange: newestViewChange(records), newView: newestNewView(records) }
  const recovered = lastOf(records, 'recovered')
  const amnesia = records.findLastIndex(({ kind }) => kind === 'amnesia')
  return {
    records,
    stable: lastOf(records, 'stable'),
    views,
    view: views.newView?.message.view ?? (0 as View),
    pending: pendingOf(views),
    orderedUpTo: orderedUpTo(views.newView),
    amnesiac: amnesia > records.findLastIndex(({ kind }) => kind === 'recovered'),
    recovered,
    committedInLog: highestSeq(records.filter(({ kind }) => kind === 'committed' || kind === 'stable')),
  }
}

/** Of `stable`, the highest; of the others at most one is in force, the last. */
function lastOf<Kind extends VoteRecord['kind']>(
  records: readonly VoteRecord[],
  kind: Kind,
): RecordOf<Kind> | null {
  let found: VoteRecord | null = null
  for (const record of records) {
    if (record.kind === kind && seqOfRecord(record) >= (found === null ? 0 : seqOfRecord(found)))
      found = record
  }
  return found as RecordOf<Kind> | null
}

function newestViewChange(records: readonly VoteRecord[]): ViewChange | null {
  let newest: ViewChange | null = null
  for (const record of records) {
    if (record.kind !== 'view-change') continue
    if (newest === null || record.message.newView > newest.newView) newest = record.message
  }
  return newest
}

function newestNewView(records: readonly VoteRecord[]): EnteredView | null {
  let newest: EnteredView | null = null
  for (const record of records) {
    if (record.kind === 'new-view' && (newest === null || record.message.view > newest.message.view))
      newest = record
  }
  return newest
}

function orderedUpTo(newView: EnteredView | null): Seq {
  if (newView === null) return 0 as Seq
  const last = newView.message.headers.at(-1)
  return last?.seq ?? (Math.max(...newView.viewChanges.map(({ lowWaterMark }) => lowWaterMark)) as Seq)
}

export const highestSeq = (records: readonly VoteRecord[]): Seq =>
  records.reduce((highest, record) => Math.max(highest, seqOfRecord(record)), 0) as Seq

/** [D1] A primary uses no number twice in a view, and leaves none out. */
export function highestUsed({ records, view, orderedUpTo, committedInLog }: Recovered): Seq {
  const accepted = records.filter((record) => record.kind === 'pre-prepare' && record.header.view === view)
  return Math.max(highestSeq(accepted), orderedUpTo, committedInLog) as Seq
}

/**
 * [D4] What the log shows prepared or committed was perhaps acknowledged, and must be visible before a read; unless a
 * later NEW-VIEW, which would then have taken it over, did not.
 */
export function readFloor({ records, view, orderedUpTo, committedInLog }: Recovered): Seq {
  const prepared = records.filter(
    (record) =>
      record.kind === 'prepared' && (record.header.view === view || record.header.seq <= orderedUpTo),
  )
  return Math.max(highestSeq(prepared), committedInLog) as Seq
}

type Restored = Pick<CoreParts, 'log' | 'normalCase' | 'execution' | 'outbox'>

/** [D1] Bodies and certificates of every view, votes of the one that the log was in, and what was committed. */
export function restoreSlots({ records, view, views }: Recovered, parts: Restored): void {
  const { log, normalCase } = parts
  for (const record of records) {
    if (!log.contains(seqOfRecord(record))) continue
    if (record.kind === 'pre-prepare' || record.kind === 'batch') {
      log.at(seqOfRecord(record)).keepBody(record.batch)
    } else if (record.kind === 'prepared') {
      const slot = log.at(record.header.seq)
      const { header, prepares } = record
      if (header.view >= (slot.certificate?.header.view ?? 0)) slot.certificate = { header, prepares }
    }
  }
  if (views.newView !== null) normalCase.restoreOrdered(views.newView.message.headers)
  for (const record of records) {
    if (!log.contains(seqOfRecord(record))) continue
    if (record.kind === 'pre-prepare' && record.header.view === view) {
      normalCase.restoreAccepted(log.at(record.header.seq), record)
    } else if (record.kind === 'prepared' && record.header.view === view) {
      normalCase.restorePrepared(log.at(record.header.seq), record)
    } else if (record.kind === 'committed') restoreCommitted(record, parts)
  }
}

/** Handed to execution at once: marks need not be logged in order, and a redo from the log ends at the first gap. */
function restoreCommitted(
  { seq, view, digest }: RecordOf<'committed'>,
  { log, normalCase, execution, outbox }: Restored,
): void {
  const slot = log.at(seq)
  slot.committed = { view, digest }
  const batch = normalCase.knownBody(slot, digest)
  if (batch === undefined || execution.has(seq)) return
  outbox.observe({ kind: 'committed', seq, digest, how: 'log' })
  execution.commit(seq, { batch, at: 0 as LogPosition })
}

/**
 * [D4] What was executed was committed, also when the log lost the mark, which nothing waited for, or when a state
 * transfer skipped it [CP4]. It is marked again, without proof: a log with a gap could never serve what lies behind it.
 */
export function markExecuted(
  { recent }: DatabaseState,
  { log, normalCase, outbox }: Pick<CoreParts, 'log' | 'normalCase' | 'outbox'>,
): void {
  for (const { seq, batchDigest: digest } of recent) {
    const slot = log.contains(seq) ? log.at(seq) : undefined
    if (slot === undefined || slot.committed !== null) continue
    slot.committed = { view: normalCase.view, digest }
    if (normalCase.knownBody(slot, digest) === undefined) continue
    outbox.persist({ kind: 'committed', seq, view: normalCase.view, digest, commits: [] })
  }
}

/**
 * [D4] Where the log and the database speak of the same seq they must agree on its batch. Behind is redone, ahead (the log's unsynced end was lost) is
 * accepted.
 */
export function contradiction(logged: readonly VoteRecord[], database: DatabaseState): Fault | null {
  const batchAt = batchesOf(database)
  for (const record of logged) {
    if (record.kind === 'committed') {
      const { seq, digest } = record
      const fault = differing('batch', { seq, logged: digest, database: batchAt.get(seq) ?? null })
      if (fault !== null) return fault
    }
  }
  return null
}

/**
 * [CP6] The chain of the database's last checkpoint is not the one that a quorum proved, or that this replica signed:
 * its rows were changed by hand, or repaired since. Others can tell which.
 */
export function chainMismatch(checkpoints: Checkpoints, { checkpoint }: DatabaseState): RowMismatch[] {
  if (checkpoint === null) return []
  const { seq, chain: found } = checkpoint
  const { stable } = checkpoints
  const expected = (stable?.seq === seq ? stable : checkpoints.ownAt(seq))?.chain
  if (expected === undefined || expected === found) return []
  return [{ table: 'chain', key: String(seq), column: 'chain', expected, found }]
}

const batchesOf = ({ recent }: DatabaseState): Map<Seq, Digest> =>
  new Map(recent.map(({ seq, batchDigest }) => [seq, batchDigest]))

/** [D4] The same for a database that comes back while the replica runs, against all that it knows by now. */
export function contradictionNow(
  { log, execution }: Pick<CoreParts, 'log' | 'execution'>,
  database: DatabaseState,
): Fault | null {
  const { lastExecuted, chain } = database
  if (lastExecuted === execution.lastExecuted) {
    const fault = differing('chain', { seq: lastExecuted, logged: execution.chain, database: chain })
    if (fault !== null) return fault
  }
  for (const [seq, digest] of batchesOf(database)) {
    const committed = log.get(seq)?.committed
    if (committed == null) continue
    const fault = differing('batch', { seq, logged: committed.digest, database: digest })
    if (fault !== null) return fault
  }
  return null
}

function differing(
  what: string,
  at: { readonly seq: Seq; readonly logged: Digest; readonly database: Digest | null },
): Fault | null {
  if (at.database === null || at.database === at.logged) return null
  const detail = `${what} at seq ${at.seq}: the vote log has ${at.logged}, the database ${at.database}`
  return { code: 'database-contradicts-log', seq: at.seq, detail }
}
