import { TABLES, type Tables } from '../columns.ts'

/**
 * [CP2] The tables whose rows the partition tree covers. Transfers and chain rows are never changed; the chain covers
 * them.
 */
export const STATE_TABLES = ['accounts', 'customers', 'principals', 'client_table'] as const
export type StateTable = (typeof STATE_TABLES)[number]

export type RowKey = readonly (string | number)[]
export type StateRowOf<T extends StateTable> = { readonly table: T; readonly row: Tables[T] }
export type StateRow = { readonly [T in StateTable]: StateRowOf<T> }[StateTable]

/** Distinguishes the tables in digests and on the wire. */
export const TABLE_TAGS: Readonly<Record<StateTable, number>> = {
  accounts: 1,
  customers: 2,
  principals: 3,
  client_table: 4,
}

export const keyOf = <T extends StateTable>({ table, row }: StateRowOf<T>): RowKey => TABLES[table].key(row)
