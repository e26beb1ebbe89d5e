import type { Batch } from '../../../protocol/messages.ts'
import type { Operation } from '../../../protocol/operations.ts'
import { CLIENT_ID_MIN } from '../../../protocol/types.ts'
import { CLIENTS, clientNamed, describeTransaction } from '../scenario.ts'

const DIGEST_CHARACTERS = 8

export const short = (digest: string): string => digest.slice(0, DIGEST_CHARACTERS)

/** A client's letter; replicas and others by their number. */
export const senderName = (client: number): string => CLIENTS[client - CLIENT_ID_MIN] ?? `${client}`

/** What a batch orders, for people: transactions as files have them. */
export function describeBatch(batch: Batch | undefined): string {
  if (batch === undefined) return 'a batch that is in none of these logs'
  if (batch.requests.length === 0) return 'null'
  return batch.requests
    .map(({ client, operations }) => operations.map((one) => describeOperation(one, client)).join(' '))
    .join(' ')
}

function describeOperation(operation: Operation, client: number): string {
  switch (operation.kind) {
    case 'transfer': {
      const from = clientNamed(operation.from)
      const to = clientNamed(operation.to)
      if (from === undefined || to === undefined) return `transfer ${operation.from} ${operation.to}`
      return describeTransaction({ kind: 'transfer', from, to, amount: operation.amount })
    }
    case 'balance':
      return `(${operation.account})`
    case 'lookup':
      return `lookup by ${senderName(client)}`
    default:
      return operation.kind
  }
}
