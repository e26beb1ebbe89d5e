import { digestToBytes, type Seq } from '../../protocol/types.ts'
import type { TableName } from '../columns.ts'
import { mismatchesOf } from '../state-tree/repair.ts'
import { type Position, type RowMismatch, StoreError, type TransferTarget } from '../store.ts'
import type { Session, TextRow } from './session.ts'
import { KEYS, READERS, STORED } from './tables.ts'

/** More are repaired, and not named. */
const NAMED_MAX = 1_000

const HISTORY_TABLES = ['transfers', 'chain'] as const
export const EMPTY_STAGED = `truncate ${HISTORY_TABLES.map((table) => `staged_${table}`).join(', ')}`

export type Installation = {
  readonly writer: Session
  readonly epoch: string
  readonly from: Position
  readonly target: TransferTarget
  /** The highest seq whose history here and at the target is one; above it the target's was staged. */
  readonly ancestor: Seq
}

/**
 * [CP4] Ends the transaction that wrote the target's rows: puts the staged history in place of what is here, and moves
 * `meta` last, so that its row is locked for no longer than that. The COMMIT waits for the disk. Returns what was other
 * history up to where both had executed.
 * @throws StoreError 'reconcile' when the database is not where this process left it
 */
export async function install(args: Installation): Promise<readonly RowMismatch[]> {
  const { writer, ancestor, target } = args
  const run = (text: string, values: readonly string[] = []) => writer.rows({ text, values })
  const repaired: RowMismatch[] = []
  for (const table of HISTORY_TABLES) {
    repaired.push(...(await differingHistory(args, table)))
    await run(`delete from ${table} where seq < 1 or seq > $1::bigint`, [String(ancestor)])
    await run(
      `insert into ${table} (${STORED[table]}) select ${STORED[table]} from staged_${table}
        where seq > $1::bigint and seq <= $2::bigint`,
      [String(ancestor), String(target.seq)],
    )
  }
  await run(EMPTY_STAGED)
  await move(args)
  await run('set local synchronous_commit = on')
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

const prefixed = (table: TableName, alias: string): string =>
  STORED[table]
    .split(', ')
    .map((column) => `${alias}.${column}`)
    .join(', ')

/** Of the seqs that were executed here and are replaced. */
async function differingHistory<T extends (typeof HISTORY_TABLES)[number]>(
  { writer, ancestor, from, target }: Installation,
  table: T,
): Promise<RowMismatch[]> {
  const both = Math.min(from.lastExecuted, target.seq)
  if (both <= ancestor) return []
  const [key = ''] = KEYS[table]
  const same = KEYS[table].map((column) => `s.${column} = t.${column}`).join(' and ')
  const side = (name: string) => `(select * from ${name} where seq > $1::bigint and seq <= $2::bigint) `
  const rows = await writer.rows({
    text: `select s.${key} is null, t.${key} is null, ${prefixed(table, 's')}, ${prefixed(table, 't')}
      from ${side(`staged_${table}`)} s full join ${side(table)} t on ${same}
      where (${prefixed(table, 's')}) is distinct from (${prefixed(table, 't')})
      order by coalesce(s.seq, t.seq) limit ${NAMED_MAX}`,
    values: [String(ancestor), String(both)],
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
