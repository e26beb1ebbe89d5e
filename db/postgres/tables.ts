import type { AccountId, TransferId } from '../../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, RequestNumber, Seq, View } from '../../protocol/types.ts'
import { isDigest } from '../../protocol/types.ts'
import type { AccountRow, ChainRow, ClientRow, CustomerRow, PrincipalRow, TransferRow } from '../rows.ts'
import { StoreError } from '../store.ts'
import { column, type TextRow } from './session.ts'

/** The columns of each table in one order, and the rows they make. */
export const COLUMNS = {
  accounts: 'id, owner, balance, opened, version, entries, newest',
  customers: 'owner, name, address, version',
  principals: 'id, role, public_key, incarnation, incarnation_view, version',
  client_table: 'client, lane, number, request_digest, result, lookup_number, lookup_digest, version',
  transfers: 'seq, index, debit, credit, amount, debit_entry, debit_previous, credit_entry, credit_previous',
  chain: 'seq, batch_digest, replies_digest, transfers_digest, chain',
} as const

const integer = (row: TextRow, n: number): number => Number(column(row, n))

/** bytea prints as \x and hex. */
const hex = (row: TextRow, n: number): string => column(row, n).slice(2)

export function digestAt(row: TextRow, n: number): Digest {
  const text = hex(row, n)
  if (!isDigest(text)) throw new StoreError('broken', `not a digest in the database: ${text}`)
  return text
}

/** A link fills 20 bits with the index: a batch has at most batchOperationsMax * LINKED_OPERATIONS_MAX transfers. */
const INDEX_BITS = 20
const INDEXES = 2 ** INDEX_BITS
/** Above it a link is no exact number. */
const SEQ_EXACT_MAX = 2 ** (53 - INDEX_BITS) - 1

/** A link of a history as the database keeps it: 0 is none. */
export function linkTo(id: TransferId | null): number | bigint {
  if (id === null) return 0
  if (id.seq > SEQ_EXACT_MAX) return (BigInt(id.seq) << BigInt(INDEX_BITS)) + BigInt(id.index)
  return id.seq * INDEXES + id.index
}

function linkAt(row: TextRow, n: number): TransferId | null {
  const link = BigInt(column(row, n))
  if (link === 0n) return null
  const index = Number(link & BigInt(INDEXES - 1))
  return { seq: Number(link >> BigInt(INDEX_BITS)) as Seq, index }
}

export function accountFrom(row: TextRow): AccountRow {
  const owner = row[1]
  return {
    id: column(row, 0) as AccountId,
    owner: typeof owner === 'string' ? (Number(owner) as PrincipalId) : null,
    balance: BigInt(column(row, 2)),
    opened: integer(row, 3) as Seq,
    version: integer(row, 4) as Seq,
    entries: integer(row, 5),
    newest: linkAt(row, 6),
  }
}

export const customerFrom = (row: TextRow): CustomerRow => ({
  owner: integer(row, 0) as PrincipalId,
  name: column(row, 1),
  address: row[2] ?? null,
  version: integer(row, 3) as Seq,
})

export const principalFrom = (row: TextRow): PrincipalRow => ({
  id: integer(row, 0) as PrincipalId,
  role: roleOf(column(row, 1)),
  publicKey: hex(row, 2),
  incarnation: integer(row, 3),
  incarnationView: integer(row, 4) as View,
  version: integer(row, 5) as Seq,
})

function roleOf(text: string): PrincipalRow['role'] {
  if (text === 'replica' || text === 'customer' || text === 'teller') return text
  throw new StoreError('broken', `not a role in the database: ${text}`)
}

export function clientFrom(row: TextRow): ClientRow {
  return {
    client: integer(row, 0) as PrincipalId,
    lane: integer(row, 1) as Lane,
    real: typeof row[2] === 'string' ? { ...markAt(row, 2), result: Buffer.from(hex(row, 4), 'hex') } : null,
    lookup: typeof row[5] === 'string' ? markAt(row, 5) : null,
    version: integer(row, 7) as Seq,
  }
}

const markAt = (row: TextRow, n: number) => ({
  number: integer(row, n) as RequestNumber,
  requestDigest: digestAt(row, n + 1),
})

export const transferFrom = (row: TextRow, at = 0): TransferRow => ({
  seq: integer(row, at) as Seq,
  index: integer(row, at + 1),
  debit: column(row, at + 2),
  credit: column(row, at + 3),
  amount: BigInt(column(row, at + 4)),
  debitEntry: integer(row, at + 5),
  debitPrevious: linkAt(row, at + 6),
  creditEntry: integer(row, at + 7),
  creditPrevious: linkAt(row, at + 8),
})

export const chainFrom = (row: TextRow): ChainRow => ({
  seq: integer(row, 0) as Seq,
  batchDigest: digestAt(row, 1),
  repliesDigest: digestAt(row, 2),
  transfersDigest: digestAt(row, 3),
  chain: digestAt(row, 4),
})
