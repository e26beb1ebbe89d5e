import type { Reply } from '../../../protocol/messages.ts'
import type { ReplicaId } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import type { Disk } from '../disk.ts'
import { Violation } from '../violation.ts'
import type { HistoryCheck } from './history-check.ts'

/** [D4] A result is told only when its batch is prepared, or committed with its body, on this replica's disk. */
export function checkReply(
  reply: Reply,
  by: { readonly replica: ReplicaId; readonly disk: Disk; readonly history: HistoryCheck },
): void {
  if (reply.outcome.kind !== 'executed') return
  const { replica, disk, history } = by
  const agreed = history.resultOf(reply)
  if (agreed === undefined) {
    throw new Violation('wrong-answer', `replica ${replica} answers what nobody executed`)
  }
  const { seq } = agreed
  const committed = disk.durable('committed', seq)
  const taken = committed !== undefined && disk.durableBody(seq, committed.digest)
  if (taken || disk.durable('prepared', seq) !== undefined) return
  throw new Violation('not-durable', `replica ${replica} answers for seq ${seq} that it may forget`)
}

/** [D4] What these records prove was perhaps acknowledged: no read may show less. */
export const provenUpTo = (votes: readonly VoteRecord[]): number =>
  votes.reduce((highest, record) => Math.max(highest, provenSeq(record)), 0)

function provenSeq(record: VoteRecord): number {
  if (record.kind === 'prepared') return record.header.seq
  return record.kind === 'committed' || record.kind === 'stable' ? record.seq : 0
}
