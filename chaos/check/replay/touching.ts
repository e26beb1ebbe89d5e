import { describe } from '../../../client/format.ts'
import type { TableName } from '../../../db/columns.ts'
import type { Batch, Request } from '../../../protocol/messages.ts'
import { EXTERNAL_ACCOUNT, type Operation } from '../../../protocol/operations.ts'
import { short } from '../tally.ts'

/** Operations that are named of a batch; the rest is counted. */
const NAMED_MAX = 5

/** The row that something is to be said about: its table, its key's parts, and of a transfer both accounts. */
export type RowName = {
  readonly table: TableName
  readonly key: string
  /** Of a transfer: the accounts it moves money between. */
  readonly accounts?: readonly string[]
}

/** Which batch that was, and which of its operations touch the row. */
export function touching({ table, key, accounts = [] }: RowName, seq: number, batch: Batch): string[] {
  const touched = batch.requests.flatMap((request) => {
    const operations = request.operations.filter((operation) =>
      isTouched(operation, { table, key, accounts, request }),
    )
    return operations.map((operation) => `${describe(operation)}, of request ${nameOf(request)}`)
  })
  const named = touched.slice(0, NAMED_MAX)
  const more = touched.length - named.length
  const count = batch.requests.reduce((sum, { operations }) => sum + operations.length, 0)
  return [
    `batch ${short(batch.digest)} at seq ${seq}: ${count} operations, ${touched.length} of them touch this row`,
    ...named.map((text) => `  ${text}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
  ]
}

const nameOf = ({ client, lane, number }: Request): string => `${client}/${lane}/${number}`

type Row = RowName & { readonly accounts: readonly string[]; readonly request: Request }

function isTouched(operation: Operation, row: Row): boolean {
  if (operation.kind === 'linked') return operation.operations.some((inner) => isTouched(inner, row))
  const { table, key, request } = row
  switch (table) {
    case 'chain':
      return true
    case 'transfers':
      return (
        row.accounts.length > 0 && row.accounts.every((account) => accountsOf(operation).includes(account))
      )
    case 'accounts':
      return accountsOf(operation).includes(key)
    case 'customers':
      return operation.kind === 'open' && `${operation.owner}` === key && operation.customer !== null
    case 'principals':
      return operation.kind === 'recover' && `${request.client}` === key
    case 'client_table':
      return `${request.client}/${request.lane}` === key
  }
}

/** That it may change. */
function accountsOf(operation: Operation): readonly string[] {
  switch (operation.kind) {
    case 'transfer':
      return [operation.from, operation.to]
    case 'deposit':
    case 'withdraw':
      return [operation.account, EXTERNAL_ACCOUNT]
    case 'open':
      return [operation.account]
    default:
      return []
  }
}
