import type { Reply } from '../../../protocol/messages.ts'
import type { ReplicaId, Seq } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import type { Database } from '../database.ts'
import type { Disk } from '../disk.ts'
import { Violation } from '../violation.ts'
import type { HistoryCheck } from './history-check.ts'

const NO_SEQ = 0 as Seq

/** [D5] It lost its vote log and does not vote: one of the f, whose word counts for nothing. */
export const isAmnesiac = (disk: Disk): boolean =>
  disk.durable('amnesia', NO_SEQ) !== undefined && disk.durable('recovered', NO_SEQ) === undefined

/**
 * [D4] A result is told only when its batch is prepared, or committed with its body, on this replica's disk, or in the
 * database for good.
 */
export function checkReply(
  reply: Reply,
  by: {
    readonly replica: ReplicaId
    readonly disk: Disk
    readonly database: Database
    readonly history: HistoryCheck
  },
): void {
  if (reply.outcome.kind !== 'executed') return
  const { replica, disk, database, history } = by
  const agreed = history.resultOf(reply)
  if (agreed === undefined) {
    throw new Violation('wrong-answer', `replica ${replica} answers what nobody executed`)
  }
  const { seq } = agreed
  if (seq <= database.store.durableSeq || isAmnesiac(disk)) return
  const committed = disk.durable('committed', seq)
  const taken = committed !== undefined && disk.durableBody(seq, committed.digest)
  if (taken || disk.durable('prepared', seq)?.header.digest === history.batchAt(seq)) return
  throw new Violation('not-durable', `replica ${replica} answers for seq ${seq} that it may forget`)
}

/** [CP1] [D4] The vote log is cut only below a stable checkpoint whose state the database holds for good. */
export function checkCut(
  upTo: Seq,
  by: { readonly replica: ReplicaId; readonly disk: Disk; readonly durableSeq: Seq },
): void {
  const { replica, disk, durableSeq } = by
  const { stableUpTo } = disk
  if (upTo > stableUpTo) {
    throw new Violation(
      'not-durable',
      `replica ${replica} cuts its log up to ${upTo}; ${stableUpTo} is its last durable stable checkpoint`,
    )
  }
  if (upTo > durableSeq) {
    throw new Violation(
      'not-durable',
      `replica ${replica} cuts its log up to ${upTo}; its database may go back to ${durableSeq}`,
    )
  }
}

/** [D4] What these records prove. */
export const provenUpTo = (votes: readonly VoteRecord[]): number =>
  votes.reduce((highest, record) => Math.max(highest, provenSeq(record)), 0)

/**
 * [D4] What of it was perhaps acknowledged: no read may show less. What was prepared in a lower view than the log
 * entered last was not, when that view's NEW-VIEW does not reach up to it: a quorum had never heard of it.
 */
export function shownUpTo(votes: readonly VoteRecord[]): number {
  const entered = votes
    .filter((record) => record.kind === 'new-view')
    .reduce((last, record) => (record.message.view > last.view ? enteredBy(record) : last), {
      view: -1,
      upTo: 0,
    })
  return provenUpTo(
    votes.filter(
      (record) =>
        record.kind !== 'prepared' || record.header.view >= entered.view || record.header.seq <= entered.upTo,
    ),
  )
}

/** Up to where the NEW-VIEW says what was ordered: its last entry of O, or the checkpoint that O stands on. */
function enteredBy({ message, viewChanges }: Extract<VoteRecord, { kind: 'new-view' }>) {
  const reached = [
    ...message.headers.map(({ seq }) => seq),
    ...viewChanges.map(({ lowWaterMark }) => lowWaterMark),
  ]
  return { view: message.view, upTo: Math.max(0, ...reached) }
}

function provenSeq(record: VoteRecord): number {
  if (record.kind === 'prepared') return record.header.seq
  return record.kind === 'committed' || record.kind === 'stable' ? record.seq : 0
}
