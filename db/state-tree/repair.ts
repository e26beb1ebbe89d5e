import { TABLES, type TableName, type Tables } from '../columns.ts'
import type { ChainRow, TransferRow } from '../rows.ts'
import type { RowMismatch } from '../store.ts'
import type { StateTable } from './state-row.ts'

/** Of a value as a mismatch names it: results can be long. */
const PRINTED_CHARACTERS_MAX = 100

/** Where a row differs from what it should be: column by column, or as a whole where one of the two is missing. */
export function mismatchesOf<T extends TableName>(
  table: T,
  { expected, found }: { readonly expected: Tables[T] | undefined; readonly found: Tables[T] | undefined },
): RowMismatch[] {
  const present = expected ?? found
  if (present === undefined) return []
  const key = TABLES[table].key(present).join('/')
  const { columns } = TABLES[table]
  if (expected === undefined || found === undefined) {
    const whole = (row: Tables[T] | undefined) =>
      row === undefined ? null : printed(columns.map(({ name, text }) => `${name}=${text(row)}`).join(' '))
    return [{ table, key, column: null, expected: whole(expected), found: whole(found) }]
  }
  return columns
    .filter(({ text }) => text(expected) !== text(found))
    .map(({ name, text }) => ({
      table,
      key,
      column: name,
      expected: printed(text(expected)),
      found: printed(text(found)),
    }))
}

const printed = <T extends string | null>(text: T): T | string =>
  text === null || text.length <= PRINTED_CHARACTERS_MAX
    ? text
    : `${text.slice(0, PRINTED_CHARACTERS_MAX)}...`

/**
 * [CP6] What installing `there` in place of `here` repaired: nothing where a batch explains the difference, one that
 * only the target has behind it (up to `target`), or only this database (up to `executed`).
 */
export function repairedRow<T extends StateTable>(
  table: T,
  of: {
    readonly here: Tables[T] | undefined
    readonly there: Tables[T] | undefined
    readonly executed: number
    readonly target: number
  },
): RowMismatch[] {
  const { here, there, executed, target } = of
  const both = Math.min(executed, target)
  const isNewer = there !== undefined && there.version > both
  const isOlder = here !== undefined && here.version > both && here.version <= executed
  return isNewer || isOlder ? [] : mismatchesOf(table, { expected: there, found: here })
}

/** The same for one seq's history, which both have executed. */
export function repairedHistory(
  here: { readonly row: ChainRow | undefined; readonly transfers: readonly TransferRow[] },
  there: { readonly row: ChainRow; readonly transfers: readonly TransferRow[] },
): RowMismatch[] {
  const found = new Map(here.transfers.map((row) => [row.index, row]))
  const expected = new Map(there.transfers.map((row) => [row.index, row]))
  const indexes = [...new Set([...expected.keys(), ...found.keys()])]
  return [
    ...mismatchesOf('chain', { expected: there.row, found: here.row }),
    ...indexes.flatMap((index) =>
      mismatchesOf('transfers', { expected: expected.get(index), found: found.get(index) }),
    ),
  ]
}
