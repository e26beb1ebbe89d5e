import type { TableName, Tables } from '../columns.ts'
import { markOf, pathOf, type RowMark } from '../state-tree/place.ts'
import { keyOf, STATE_TABLES, type StateRow, type StateTable } from '../state-tree/state-row.ts'
import type { RowMismatch } from '../store.ts'
import { column, type TextRow } from './session.ts'
import { READERS, STORED } from './tables.ts'

/** A row of a state table, with the path that the database has for it [CP2]. */
export type StoredRow = { readonly state: StateRow; readonly mark: RowMark; readonly path: bigint }

export const stateRow = <T extends StateTable>(table: T, row: Tables[T]): StateRow =>
  ({ table, row }) as StateRow

/** How many columns STORED names. */
const widthOf = (table: TableName): number => STORED[table].split(', ').length

/** Of STORED's columns, the first of them at `at`. */
export function storedRow(table: StateTable, row: TextRow, at = 0): StoredRow {
  const state = stateRow(table, READERS[table](row, at))
  return { state, mark: markOf(state), path: BigInt(column(row, at + widthOf(table) - 1)) }
}

export const isMisplaced = ({ mark, path }: StoredRow): boolean => pathOf(mark.place) !== path

export const keyText = (state: StateRow): string => keyOf(state).join('/')

/** One string for each row of STATE_TABLES, for maps. */
export const nameOf = (table: StateTable, key: readonly (string | number)[]): string =>
  `${STATE_TABLES.indexOf(table)} ${key.join('/')}`

/** [CP2] A row that is where its partition does not look for it. */
export const misplaced = ({ state, mark, path }: StoredRow): RowMismatch => ({
  table: state.table,
  key: keyText(state),
  column: 'path',
  expected: String(pathOf(mark.place)),
  found: String(path),
})
