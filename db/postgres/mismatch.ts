import type { TableName, Tables } from '../columns.ts'
import type { Change, Changes } from '../state-machine/run-state.ts'
import { mismatchesOf } from '../state-tree/repair.ts'
import { keyOf, type StateTable } from '../state-tree/state-row.ts'
import { type Position, type RowMismatch, StoreError } from '../store.ts'
import { CELLS } from './cells.ts'
import { strayTransfers } from './history.ts'
import { type Column, type RowTypeOids, rowArray } from './row-arrays.ts'
import type { Session } from './session.ts'
import { nameOf, stateRow } from './stored-rows.ts'
import { COLUMNS, chainFrom, READERS } from './tables.ts'

/** [CP6] For rows that were changed behind this replica's back. */
export const tampered = (rows: readonly RowMismatch[]): StoreError =>
  new StoreError('tampered', `the database was changed behind this replica's back: ${named(rows)}`, { rows })

function named(rows: readonly RowMismatch[]): string {
  const [first] = rows
  if (first === undefined) return 'no row is named'
  const { table, key, column, expected, found } = first
  const more = rows.length > 1 ? `, and ${rows.length - 1} more` : ''
  if (expected === null) return `row ${table} ${key} should not be there${more}`
  if (found === null) return `row ${table} ${key} is gone${more}`
  return `row ${table} ${key} has ${column} ${found} where this replica left ${expected}${more}`
}

type Args = {
  readonly session: Session
  readonly changes: Changes
  readonly from: Position
  readonly oids: RowTypeOids
}

/**
 * [CP6] The rows that a run would have written over something else than this process knows, or that are in the way of
 * new ones. Empty when there is none by now.
 */
export async function mismatchesWith(args: Args): Promise<readonly RowMismatch[]> {
  const { accounts, clients, principals } = args.changes
  const found = await Promise.all([
    changed(args, 'accounts', accounts),
    changed(args, 'client_table', clients),
    changed(args, 'principals', principals),
    inTheWay(args),
  ])
  return found.flat()
}

async function changed<T extends StateTable>(
  { session, oids }: Args,
  table: T,
  changes: readonly Change<Tables[T]>[],
): Promise<RowMismatch[]> {
  if (changes.length === 0) return []
  // By path: unlike a key it is one column in every table.
  const rows = await session.rows({
    text: `select ${COLUMNS[table]} from ${table} where path in (select path from unnest($1::${table}[]))`,
    values: [
      rowArray(
        oids[table],
        CELLS[table] as readonly Column<Tables[T]>[],
        changes.map(({ after }) => after),
      ),
    ],
  })
  const name = (row: Tables[T]) => nameOf(table, keyOf(stateRow(table, row)))
  const found = new Map(rows.map((row) => READERS[table](row)).map((row) => [name(row), row]))
  return changes.flatMap(({ before, after }) =>
    mismatchesOf<TableName>(table, { expected: before, found: found.get(name(after)) }),
  )
}

async function inTheWay({ session, from }: Args): Promise<RowMismatch[]> {
  const transfers = await strayTransfers(session, from.lastExecuted)
  const chain = await session.rows({
    text: `select ${COLUMNS.chain} from chain where seq > $1::bigint order by seq limit 100`,
    values: [String(from.lastExecuted)],
  })
  return [
    ...transfers.flatMap((found) => mismatchesOf('transfers', { expected: undefined, found })),
    ...chain.flatMap((row) => mismatchesOf('chain', { expected: undefined, found: chainFrom(row) })),
  ]
}
