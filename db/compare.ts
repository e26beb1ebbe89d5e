import type { Seq } from '../protocol/types.ts'
import {
  CURRENT_TABLES,
  compareKeys,
  HISTORICAL_TABLES,
  TABLES,
  type TableName,
  type TableSource,
  type Tables,
} from './columns.ts'

/** Where two databases differ: `column` is null when one of them lacks the row, and its value then null. */
export type Difference = {
  readonly table: TableName
  /** The row's key, its parts joined by '/'. */
  readonly key: string
  readonly column: string | null
  readonly values: readonly [string | null, string | null]
}

/**
 * The first row and column in which two databases differ at `seq`, which both have reached; undefined when none does.
 *
 * Accounts, transfers and chain rows are compared exactly as they were at `seq`. Customers, principals and lanes are
 * compared where neither database changed the row since; where one did, its earlier content is not known, and nothing
 * is said about that row. So the comparison is complete when `seq` is lastExecuted of both.
 */
export async function firstDifference(
  a: TableSource,
  b: TableSource,
  seq: Seq,
): Promise<Difference | undefined> {
  for (const table of HISTORICAL_TABLES) {
    const found = await differenceInTable(table, { a, b, seq, decided: () => true })
    if (found !== undefined) return found
  }
  for (const table of CURRENT_TABLES) {
    const found = await differenceInTable(table, { a, b, seq, decided: (row) => row.version <= seq })
    if (found !== undefined) return found
  }
  return undefined
}

type Comparison<Row> = {
  readonly a: TableSource
  readonly b: TableSource
  readonly seq: Seq
  /** Whether this row of a snapshot is known to be the row at `seq`. */
  readonly decided: (row: Row) => boolean
}

/** Merges the two sorted streams. */
async function differenceInTable<T extends TableName>(
  table: T,
  { a, b, seq, decided }: Comparison<Tables[T]>,
): Promise<Difference | undefined> {
  const left = a.rows(table, seq)[Symbol.asyncIterator]()
  const right = b.rows(table, seq)[Symbol.asyncIterator]()
  try {
    let [one, other] = await Promise.all([left.next(), right.next()])
    while (!one.done || !other.done) {
      const order = one.done
        ? 1
        : other.done
          ? -1
          : compareKeys(keyOf(table, one.value), keyOf(table, other.value))
      const mine = order <= 0 && !one.done ? one.value : undefined
      const theirs = order >= 0 && !other.done ? other.value : undefined
      if ((mine === undefined || decided(mine)) && (theirs === undefined || decided(theirs))) {
        const found = differenceInRow(table, mine, theirs)
        if (found !== undefined) return found
      }
      if (order <= 0) one = await left.next()
      if (order >= 0) other = await right.next()
    }
    return undefined
  } finally {
    await Promise.all([left.return?.(), right.return?.()])
  }
}

const keyOf = <T extends TableName>(table: T, row: Tables[T]) => TABLES[table].key(row)

function differenceInRow<T extends TableName>(
  table: T,
  a: Tables[T] | undefined,
  b: Tables[T] | undefined,
): Difference | undefined {
  const present = a ?? b
  if (present === undefined) return undefined
  const key = keyOf(table, present).join('/')
  if (a === undefined || b === undefined) {
    const values = [a, b].map((row) => (row === undefined ? null : printed(table, row)))
    return { table, key, column: null, values: [values[0] ?? null, values[1] ?? null] }
  }
  for (const { name, text } of TABLES[table].columns) {
    if (text(a) !== text(b)) return { table, key, column: name, values: [text(a), text(b)] }
  }
  return undefined
}

const printed = <T extends TableName>(table: T, row: Tables[T]): string =>
  TABLES[table].columns.map(({ name, text }) => `${name}=${text(row)}`).join(' ')
