import type { TransferId } from '../protocol/operations.ts'
import type { AccountRow, ChainRow, ClientRow, CustomerRow, PrincipalRow, TransferRow } from './rows.ts'

/** The replicated tables, by their names in Postgres. */
export type Tables = {
  readonly accounts: AccountRow
  readonly transfers: TransferRow
  readonly chain: ChainRow
  readonly customers: CustomerRow
  readonly principals: PrincipalRow
  readonly client_table: ClientRow
}
export type TableName = keyof Tables

type Column<Row> = { readonly name: string; readonly text: (row: Row) => string | null }
type TableForm<Row> = {
  /** What rows are sorted by. */
  readonly key: (row: Row) => readonly (string | number)[]
  /** Every column, printed so that equal texts mean equal values. */
  readonly columns: readonly Column<Row>[]
}

/** Columns whose values print as they are. */
const plain = <Row>(...names: (keyof Row & string)[]): Column<Row>[] =>
  names.map((name) => ({
    name,
    text: (row) => (row[name] === null ? null : String(row[name])),
  }))

/** As `seq/index`. */
const place = <Row>(name: string, of: (row: Row) => TransferId | null): Column<Row> => {
  return {
    name,
    text: (row) => {
      const id = of(row)
      return id && `${id.seq}/${id.index}`
    },
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

export const TABLES: { readonly [T in TableName]: TableForm<Tables[T]> } = {
  accounts: {
    key: (row) => [row.id],
    columns: [
      ...plain<AccountRow>('id', 'owner', 'balance', 'opened', 'version', 'entries'),
      place('newest', ({ newest }) => newest),
    ],
  },
  transfers: {
    key: (row) => [row.seq, row.index],
    columns: [
      ...plain<TransferRow>('seq', 'index', 'debit', 'credit', 'amount', 'debitEntry', 'creditEntry'),
      place('debitPrevious', ({ debitPrevious }) => debitPrevious),
      place('creditPrevious', ({ creditPrevious }) => creditPrevious),
    ],
  },
  chain: {
    key: (row) => [row.seq],
    columns: plain('seq', 'batchDigest', 'repliesDigest', 'transfersDigest', 'chain'),
  },
  customers: { key: (row) => [row.owner], columns: plain('owner', 'name', 'address', 'version') },
  principals: {
    key: (row) => [row.id],
    columns: plain('id', 'role', 'publicKey', 'incarnation', 'incarnationView', 'version'),
  },
  client_table: {
    key: (row) => [row.client, row.lane],
    columns: [
      ...plain<ClientRow>('client', 'lane'),
      { name: 'number', text: ({ real }) => (real === null ? null : String(real.number)) },
      { name: 'requestDigest', text: ({ real }) => real?.requestDigest ?? null },
      { name: 'result', text: ({ real }) => (real === null ? null : hex(real.result)) },
      { name: 'lookupNumber', text: ({ lookup }) => (lookup === null ? null : String(lookup.number)) },
      { name: 'lookupDigest', text: ({ lookup }) => lookup?.requestDigest ?? null },
      ...plain<ClientRow>('version'),
    ],
  },
}

/**
 * Tables that can be told for any earlier seq: transfers and chain rows never change, and an account's row at `seq`
 * is its row now without the transfers since.
 */
export const HISTORICAL_TABLES = ['accounts', 'transfers', 'chain'] as const satisfies TableName[]
/** Tables whose rows are replaced: a row is known for `seq` only if it did not change since. */
export const CURRENT_TABLES = ['customers', 'principals', 'client_table'] as const satisfies TableName[]

/** One consistent snapshot of a database, wherever it is. */
export interface TableSource {
  /**
   * The rows of `table` sorted by key: of HISTORICAL_TABLES as they were at `seq`, which is not above the snapshot's
   * lastExecuted; of CURRENT_TABLES as they are in the snapshot.
   */
  rows<T extends TableName>(table: T, seq: number): AsyncIterable<Tables[T]>
}

export function compareKeys(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [i, left] of a.entries()) {
    const right = b[i]
    if (right === undefined || left > right) return 1
    if (left < right) return -1
  }
  return 0
}
