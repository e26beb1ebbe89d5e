import { digestToBytes, type Seq } from '../../protocol/types.ts'
import type { TableName, Tables } from '../columns.ts'
import { mismatchesOf, repairedRow } from '../state-tree/repair.ts'
import { STATE_TABLES, type StateTable } from '../state-tree/state-row.ts'
import { type Position, type RowMismatch, StoreError, type TransferTarget } from '../store.ts'
import { CELLS } from './cells.ts'
import { type RowTypeOids, rowArray } from './row-arrays.ts'
import type { Session, TextRow } from './session.ts'
import { misplaced, type StoredRow } from './stored-rows.ts'
import { READERS, STORED } from './tables.ts'

/** More are repaired, and not named. */
const NAMED_MAX = 1_000

/** The columns of each table's primary key. */
const KEYS: { readonly [T in TableName]: readonly string[] } = {
  accounts: ['id'],
  customers: ['owner'],
  principals: ['id'],
  client_table: ['client', 'lane'],
  transfers: ['seq', 'index'],
  chain: ['seq'],
}
const HISTORY_TABLES = ['transfers', 'chain'] as const

export type Installation = {
  readonly writer: Session
  readonly oids: RowTypeOids
  readonly epoch: string
  readonly from: Position
  readonly target: TransferTarget
  /** The highest seq whose history here and at the target is one; above it the target's was staged. */
  readonly ancestor: Seq
  /** Rows whose path is wrong, found when all were read. */
  readonly misplaced: readonly StoredRow[]
}

/**
 * [CP4] Puts what is staged in place of what is here, in one transaction whose COMMIT waits for the disk. The staged
 * ranges are whole partitions: a row in one of them that is not staged is deleted.
 * @throws StoreError 'reconcile' when the database is not where this process left it
 */
export async function install(args: Installation): Promise<readonly RowMismatch[]> {
  const { writer } = args
  const run = (text: string, values: readonly (string | Buffer)[] = []) => writer.rows({ text, values })
  await run('begin')
  // In force for this transaction alone. Staged tables are large, and joined as a whole.
  await run(`select set_config(name, 'on', true) from unnest(array['synchronous_commit', 'enable_seqscan',
    'enable_hashjoin', 'enable_mergejoin']) as settings (name)`)
  await run(
    `analyze staged_ranges, ${[...STATE_TABLES, ...HISTORY_TABLES].map((t) => `staged_${t}`).join(', ')}`,
  )
  await move(args)
  const explained = { executed: args.from.lastExecuted, target: args.target.seq }
  const repaired: RowMismatch[] = args.misplaced.map(misplaced)
  for (const table of STATE_TABLES) {
    await putInPlace(args, table)
    repaired.push(...(await differing(args, table, explained)))
    const gone = await run(deletion(table))
    for (const row of gone) {
      repaired.push(...repairedRow(table, { here: READERS[table](row), there: undefined, ...explained }))
    }
    await run(upsert(table))
  }
  for (const table of HISTORY_TABLES) {
    repaired.push(...(await differingHistory(args, table)))
    await run(`delete from ${table} where seq < 1 or seq > $1::bigint`, [String(args.ancestor)])
    await run(
      `insert into ${table} (${STORED[table]}) select ${STORED[table]} from staged_${table}
        where seq > $1::bigint and seq <= $2::bigint`,
      [String(args.ancestor), String(args.target.seq)],
    )
  }
  await run('commit')
  return repaired.slice(0, NAMED_MAX)
}

async function move({ writer, from, target, epoch }: Installation): Promise<void> {
  const moved = await writer.rows({
    text: `update meta set last_executed = $1::bigint, chain = $2::bytea
      where last_executed = $3::bigint and chain = $4::bytea and epoch = $5::bigint returning 1`,
    values: [
      String(target.seq),
      digestToBytes(target.chain),
      String(from.lastExecuted),
      digestToBytes(from.chain),
      epoch,
    ],
  })
  if (moved.length === 0) {
    throw new StoreError('reconcile', 'install: the database is not where this process left it')
  }
}

/** [CP6] Batches explain rows that differ above the lower of the two. */
type Explained = { readonly executed: number; readonly target: number }

/** [CP2] A row with a wrong path would be deleted with the partition that it seems to be in. */
async function putInPlace({ writer, oids, misplaced }: Installation, table: StateTable): Promise<void> {
  const rows = misplaced.flatMap(({ state }) => (state.table === table ? [state] : []))
  if (rows.length === 0) return
  await writer.rows({
    text: `update ${table} t set path = u.path from unnest($1::${table}[]) as u where ${sameKey(table, 't', 'u')}`,
    values: [
      cellsOf(
        table,
        oids,
        rows.map(({ row }) => row),
      ),
    ],
  })
}

const cellsOf = (table: StateTable, oids: RowTypeOids, rows: readonly unknown[]): Buffer =>
  rowArray(oids[table], CELLS[table] as (typeof CELLS)['accounts'], rows as readonly Tables['accounts'][])

const sameKey = (table: TableName, a: string, b: string): string =>
  KEYS[table].map((column) => `${a}.${column} = ${b}.${column}`).join(' and ')

const prefixed = (table: TableName, alias: string): string =>
  STORED[table]
    .split(', ')
    .map((column) => `${alias}.${column}`)
    .join(', ')

const deletion = (table: StateTable): string =>
  `delete from ${table} t using staged_ranges r
    where t.path between r.low and r.high
      and not exists (select from staged_${table} s where s.path = t.path and ${sameKey(table, 's', 't')})
    returning ${prefixed(table, 't')}`

function upsert(table: StateTable): string {
  const columns = STORED[table].split(', ')
  const sets = columns
    .filter((column) => !KEYS[table].includes(column))
    .map((column) => `${column} = excluded.${column}`)
  return `insert into ${table} as t (${STORED[table]}) select ${STORED[table]} from staged_${table}
    on conflict (${KEYS[table].join(', ')}) do update set ${sets.join(', ')}
    where (${prefixed(table, 't')}) is distinct from (${prefixed(table, 'excluded')})`
}

/** Staged rows that are here otherwise, or not at all, and that no batch explains. */
async function differing<T extends StateTable>(
  { writer }: Installation,
  table: T,
  explained: Explained,
): Promise<RowMismatch[]> {
  const both = Math.min(explained.executed, explained.target)
  const [key = ''] = KEYS[table]
  const rows = await writer.rows({
    text: `select t.${key} is null, ${prefixed(table, 's')}, ${prefixed(table, 't')}
      from staged_${table} s left join ${table} t on ${sameKey(table, 't', 's')}
      where s.version <= $1::bigint and (${prefixed(table, 's')}) is distinct from (${prefixed(table, 't')})
      limit ${NAMED_MAX}`,
    values: [String(both)],
  })
  return rows.flatMap((row) => {
    const there = READERS[table](row, 1)
    const here = row[0] === 't' ? undefined : READERS[table](row, 1 + STORED[table].split(', ').length)
    return repairedRow(table, { here, there, ...explained })
  })
}

/** Of the seqs that were executed here and are replaced. */
async function differingHistory<T extends (typeof HISTORY_TABLES)[number]>(
  { writer, ancestor, from, target }: Installation,
  table: T,
): Promise<RowMismatch[]> {
  const [key = ''] = KEYS[table]
  const side = (name: string) => `(select * from ${name} where seq > $1::bigint and seq <= $2::bigint) `
  const rows = await writer.rows({
    text: `select s.${key} is null, t.${key} is null, ${prefixed(table, 's')}, ${prefixed(table, 't')}
      from ${side(`staged_${table}`)} s full join ${side(table)} t on ${sameKey(table, 's', 't')}
      where (${prefixed(table, 's')}) is distinct from (${prefixed(table, 't')})
      order by coalesce(s.seq, t.seq) limit ${NAMED_MAX}`,
    values: [String(ancestor), String(Math.min(from.lastExecuted, target.seq))],
  })
  const read = (row: TextRow, isNull: number, at: number) =>
    row[isNull] === 't' ? undefined : READERS[table](row, at)
  return rows.flatMap((row) =>
    mismatchesOf<TableName>(table, {
      expected: read(row, 0, 2),
      found: read(row, 1, 2 + STORED[table].split(', ').length),
    }),
  )
}
