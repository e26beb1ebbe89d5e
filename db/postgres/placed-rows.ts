import type { Tables } from '../columns.ts'
import type { MarkedRow } from '../state-tree/partition-node.ts'
import { type Place, pathOf, placeOf } from '../state-tree/place.ts'
import { repairedRow } from '../state-tree/repair.ts'
import { keyOf, STATE_TABLES, type StateTable } from '../state-tree/state-row.ts'
import type { RowMismatch } from '../store.ts'
import { int8Array } from './arrays.ts'
import { CELLS, PLACED_CELLS, type Placed } from './cells.ts'
import { type RowTypeOids, rowArray } from './row-arrays.ts'
import type { Session, TextRow } from './session.ts'
import type { StoredRow } from './stored-rows.ts'
import { COLUMNS, KEYS, READERS, STORED } from './tables.ts'

/** [CP6] Which differences between a row here and the target's a batch explains. */
export type Explained = {
  readonly executed: number
  readonly target: number
  /** Up to it a row that is here may be an earlier target's. */
  readonly stagedUpTo: number
}

type Args = {
  readonly writer: Session
  readonly oids: RowTypeOids
  readonly rows: readonly MarkedRow[]
  readonly gone: readonly Place[]
  readonly explained: Explained
}

/**
 * [CP4] Writes rows of a target over what is here, in the transaction that installs it. Where a row goes, all of its path
 * that stay are among `rows`. Returns what no batch explains.
 */
export async function placeRows(args: Args): Promise<readonly RowMismatch[]> {
  const gone = args.gone.map(pathOf)
  // Together, so that of statements that fail one after the other the first says why.
  const statements: Promise<RowMismatch[]>[] = []
  for (const table of STATE_TABLES) {
    const rows = rowsOf(args.rows, table)
    statements.push(overwritten(args, table, rows))
    if (gone.length > 0) statements.push(remove(args, table, gone))
    if (rows.length > 0) statements.push(upsert(args, table, rows))
  }
  return (await Promise.all(statements)).flat()
}

function rowsOf<T extends StateTable>(marked: readonly MarkedRow[], table: T): Placed<Tables[T]>[] {
  const rows: Placed<Tables[T]>[] = []
  for (const { row, mark } of marked) {
    if (row.table === table) rows.push({ row: row.row as Tables[T], place: mark.place })
  }
  return rows
}

/** Rows that are here otherwise, or not at all, although both sides executed all that may have changed them. */
async function overwritten<T extends StateTable>(
  { writer, explained }: Args,
  table: T,
  rows: readonly Placed<Tables[T]>[],
): Promise<RowMismatch[]> {
  const both = Math.min(explained.executed, explained.target)
  const old = rows.filter(({ row }) => row.version <= both)
  if (old.length === 0) return []
  const found = await writer.rows({
    name: `placed-${table}`,
    text: `select ${COLUMNS[table]} from ${table} where path = any($1::bigint[])`,
    values: [int8Array(old.map(({ place }) => pathOf(place)))],
  })
  const here = new Map(found.map((row) => placedRow(table, row)).map(({ place, row }) => [place, row]))
  return old.flatMap(({ place, row }) => repairedOf(table, here.get(place), row, explained))
}

/** By path, since of rows that go no more is known than their places. */
async function remove<T extends StateTable>(
  { writer, rows, explained }: Args,
  table: T,
  paths: readonly bigint[],
): Promise<RowMismatch[]> {
  const removed = await writer.rows({
    name: `remove-${table}`,
    text: `delete from ${table} where path = any($1::bigint[]) returning ${COLUMNS[table]}`,
    values: [int8Array(paths)],
  })
  const staying = new Set(rows.map(({ mark }) => mark.place))
  return removed
    .map((row) => placedRow(table, row))
    .filter(({ place }) => !staying.has(place))
    .flatMap(({ row }) => repairedOf(table, row, undefined, explained))
}

function placedRow<T extends StateTable>(table: T, columns: TextRow): Placed<Tables[T]> {
  const row = READERS[table](columns)
  return { row, place: placeOf(table, keyOf({ table, row })) }
}

function repairedOf<T extends StateTable>(
  table: T,
  here: Tables[T] | undefined,
  there: Tables[T] | undefined,
  explained: Explained,
): RowMismatch[] {
  const { executed, stagedUpTo } = explained
  if (here !== undefined && here.version > executed && here.version <= stagedUpTo) return []
  return repairedRow(table, { here, there, ...explained })
}

async function upsert<T extends StateTable>(
  { writer, oids }: Args,
  table: T,
  rows: readonly Placed<Tables[T]>[],
): Promise<RowMismatch[]> {
  await writer.rows({
    name: `place-${table}`,
    text: UPSERTS[table],
    values: [rowArray(oids[table], PLACED_CELLS[table], rows)],
  })
  return []
}

const upsertInto = (table: StateTable): string => {
  const sets = STORED[table]
    .split(', ')
    .filter((column) => !KEYS[table].includes(column))
    .map((column) => `${column} = excluded.${column}`)
  return `insert into ${table} (${STORED[table]}) select ${STORED[table]} from unnest($1::${table}[])
    on conflict (${KEYS[table].join(', ')}) do update set ${sets.join(', ')}`
}
const UPSERTS = Object.fromEntries(STATE_TABLES.map((table) => [table, upsertInto(table)])) as Readonly<
  Record<StateTable, string>
>

/** [CP2] Before anything else: a row with a wrong path would not be found by it. */
export async function putRightPaths(
  { writer, oids }: Pick<Args, 'writer' | 'oids'>,
  misplaced: readonly StoredRow[],
): Promise<void> {
  for (const table of STATE_TABLES) {
    const rows = misplaced.flatMap(({ state }) => (state.table === table ? [state.row] : []))
    if (rows.length === 0) continue
    const same = KEYS[table].map((column) => `t.${column} = u.${column}`).join(' and ')
    await writer.rows({
      text: `update ${table} t set path = u.path from unnest($1::${table}[]) as u where ${same}`,
      values: [
        rowArray(oids[table], CELLS[table] as (typeof CELLS)['accounts'], rows as Tables['accounts'][]),
      ],
    })
  }
}
