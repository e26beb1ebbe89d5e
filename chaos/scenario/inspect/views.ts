import type { NewView } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import type { ReplicaEvidence } from '../evidence.ts'
import { describeReplicas, nameOf, REPLICAS } from '../scenario.ts'
import { short } from './batches.ts'

/** Every NEW-VIEW that a correct replica accepted, with its O, and who accepted it. */
export function viewLines(replicas: readonly ReplicaEvidence[]): string[] {
  const found = new Map<string, { readonly message: NewView; readonly by: number[] }>()
  for (const { replica, role, records } of replicas) {
    if (role === 'byzantine') continue
    for (const record of records) {
      if (record.kind !== 'new-view') continue
      const { message } = record
      const known = found.get(message.digest) ?? { message, by: [] }
      found.set(message.digest, known)
      if (!known.by.includes(replica)) known.by.push(replica)
    }
  }
  if (found.size === 0) return ['no NEW-VIEW: all stayed in view 0, whose primary is n1']
  return [...found.values()]
    .sort((a, b) => a.message.view - b.message.view)
    .flatMap(({ message, by }) => [
      `NEW-VIEW ${message.view} of ${nameOf(message.view % REPLICAS)}, on VIEW-CHANGEs of ` +
        `${describeReplicas(message.viewChanges.map(({ replica }) => replica))}; entered by ${describeReplicas(by)}`,
      ...(message.headers.length === 0 ? ['  O is empty'] : message.headers.map(orderLine)),
    ])
}

const orderLine = ({ view, seq, digest }: NewView['headers'][number]): string =>
  `  O: PRE-PREPARE view ${view} seq ${seq} ${digest === NULL_BATCH.digest ? 'null' : short(digest)}`
