import { table } from '../../../client/format.ts'
import type { ReplicaEvidence } from '../evidence.ts'
import { isAnswered, type TransactionRecord } from '../outcome.ts'
import type { SetResult } from '../run-set.ts'
import { nameOf, senderOf } from '../scenario.ts'
import { slotsOf } from '../slots.ts'

const milliseconds = (value: number): string => value.toFixed(1)

/** Throughput and latency as clients saw them, and what each replica did for it. */
export function perfLines(
  { records, elapsedMs, evidence }: SetResult,
  only: readonly number[] = evidence.replicas.map(({ replica }) => replica),
): string[] {
  const answered = records.filter(isAnswered)
  const perSecond = (answered.length * 1_000) / Math.max(1, elapsedMs)
  const bySender = [...Map.groupBy(answered, ({ transaction }) => senderOf(transaction))].sort()
  const replicas = evidence.replicas.filter(({ replica }) => only.includes(replica))
  return [
    `${answered.length} of ${records.length} transactions answered in ${(elapsedMs / 1_000).toFixed(2)} s: ` +
      `${perSecond.toFixed(1)} a second`,
    ...(answered.length === 0
      ? []
      : [
          '',
          table(
            ['client', 'answered', 'mean ms', 'median ms', 'p95 ms', 'max ms'],
            [['all', ...latencies(answered)], ...bySender.map(([name, own]) => [name, ...latencies(own)])],
          ),
        ]),
    '',
    table(
      ['replica', 'executed', 'committed', 'views entered', 'sent', 'received'],
      replicas.map(replicaRow),
    ),
  ]
}

function latencies(records: readonly TransactionRecord[]): string[] {
  const sorted = records.map(({ elapsedMs }) => elapsedMs).sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  const mean = sorted.reduce((sum, one) => sum + one, 0) / sorted.length
  return [`${sorted.length}`, ...[mean, at(0.5), at(0.95), at(1)].map(milliseconds)]
}

function replicaRow(evidence: ReplicaEvidence): string[] {
  const { replica, lastExecuted, records, messages } = evidence
  const counted = (direction: 'sent' | 'received') =>
    messages.filter((line) => 'direction' in line && line.direction === direction).length
  return [
    nameOf(replica),
    `${lastExecuted}`,
    `${slotsOf(evidence).filter(({ committed }) => committed !== null).length}`,
    `${records.filter(({ kind }) => kind === 'new-view').length}`,
    `${counted('sent')}`,
    `${counted('received')}`,
  ]
}
