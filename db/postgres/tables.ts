import type { AccountId, TransferId } from '../../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, RequestNumber, Seq, View } from '../../protocol/types.ts'
import { isDigest } from '../../protocol/types.ts'
import type { TableName, Tables } from '../columns.ts'
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

/** Columns as they are stored: with the row's place in the partition tree, where the table has one [CP2]. */
export const STORED: { readonly [T in TableName]: string } = {
  accounts: `${COLUMNS.accounts}, path`,
  customers: `${COLUMNS.customers}, path`,
  principals: `${COLUMNS.principals}, path`,
  client_table: `${COLUMNS.client_table}, path`,
  transfers: COLUMNS.transfers,
  chain: COLUMNS.chain,
}

/** The columns of each table's primary key. */
export const KEYS: { readonly [T in TableName]: readonly string[] } = {
  accounts: ['id'],
  customers: ['owner'],
  principals: ['id'],
  client_table: ['client', 'lane'],
  transfers: ['seq', 'index'],
  chain: ['seq'],
}

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

export function accountFrom(row: TextRow, at = 0): AccountRow {
  const owner = row[at + 1]
  return {
    id: column(row, at) as AccountId,
    owner: typeof owner === 'string' ? (Number(owner) as PrincipalId) : null,
    balance: BigInt(column(row, at + 2)),
    opened: integer(row, at + 3) as Seq,
    version: integer(row, at + 4) as Seq,
    entries: integer(row, at + 5),
    newest: linkAt(row, at + 6),
  }
}

const customerFrom = (row: TextRow, at = 0): CustomerRow => ({
  owner: integer(row, at) as PrincipalId,
  name: column(row, at + 1),
  address: row[at + 2] ?? null,
  version: integer(row, at + 3) as Seq,
})

export const principalFrom = (row: TextRow, at = 0): PrincipalRow => ({
  id: integer(row, at) as PrincipalId,
  role: column(row, at + 1) as PrincipalRow['role'],
  publicKey: hex(row, at + 2),
  incarnation: integer(row, at + 3),
  incarnationView: integer(row, at + 4) as View,
  version: integer(row, at + 5) as Seq,
})

export function clientFrom(row: TextRow, at = 0): ClientRow {
  return {
    client: integer(row, at) as PrincipalId,
    lane: integer(row, at + 1) as Lane,
    real:
      typeof row[at + 2] === 'string'
        ? { ...markAt(row, at + 2), result: Buffer.from(hex(row, at + 4), 'hex') }
        : null,
    lookup: typeof row[at + 5] === 'string' ? markAt(row, at + 5) : null,
    version: integer(row, at + 7) as Seq,
  }
}

const markAt = (row: TextRow, n: number) => ({
  number: integer(row, n) as RequestNumber,
  requestDigest: hex(row, n + 1) as Digest,
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

export const chainFrom = (row: TextRow, at = 0): ChainRow => ({
  seq: integer(row, at) as Seq,
  batchDigest: hex(row, at + 1) as Digest,
  repliesDigest: hex(row, at + 2) as Digest,
  transfersDigest: hex(row, at + 3) as Digest,
  chain: hex(row, at + 4) as Digest,
})

/**
 * A row from its columns in the order of COLUMNS, the first of them at `at`. Whatever a hand may have written is a row,
 * whose digest then is not the one that the tree or the chain has [CP6].
 */
export const READERS: { readonly [T in TableName]: (row: TextRow, at?: number) => Tables[T] } = {
  accounts: accountFrom,
  customers: customerFrom,
  principals: principalFrom,
  client_table: clientFrom,
  transfers: transferFrom,
  chain: chainFrom,
}
