import { CURRENT_TABLES } from '../../../db/columns.ts'
import { rowText } from '../dump/copy-text.ts'
import type { DumpedDatabase } from '../dump/dumped-database.ts'
import type { Model, StateTableName } from './model.ts'
import { byKey, differencesIn, keyOfLine, type RowDifference } from './row-difference.ts'

const STATE_TABLES = ['accounts', ...CURRENT_TABLES] as const
/** Rows that are compared at once. */
const ROWS_PER_CHUNK = 1_000

export type StateDifference = {
  readonly difference: RowDifference
  /** The seq that changed the model's row last; 0 where it has none. */
  readonly version: number
}

/** Where databases that stand where the model does hold other rows than it, in the tables that are overwritten. */
export function stateDifferences(model: Model, databases: readonly DumpedDatabase[]): StateDifference[] {
  return STATE_TABLES.flatMap((table) => {
    const versions = new Map<string, number>()
    const chunks = textChunks(model, table)
    const differing = databases.filter((database) => !isEqual(database, table, chunks))
    if (differing.length === 0) return []
    const lines = chunks.flatMap((chunk) => chunk.toString().split('\n').filter(Boolean))
    for (const row of model.rows(table)) {
      versions.set(keyOfLine(table, rowText(table, row).slice(0, -1)), row.version)
    }
    const found = new Map(
      differing.map((database) => [database.meta.replica, byKey(table, allLines(database, table))]),
    )
    return differencesIn(table, byKey(table, lines), found).map((difference) => ({
      difference,
      version: versions.get(difference.key) ?? 0,
    }))
  })
}

function textChunks(model: Model, table: StateTableName): Buffer[] {
  const rows = model.rows(table)
  const chunks: Buffer[] = []
  for (let from = 0; from < rows.length; from += ROWS_PER_CHUNK) {
    const part = rows.slice(from, from + ROWS_PER_CHUNK)
    chunks.push(Buffer.from(part.map((row) => rowText(table, row)).join('')))
  }
  return chunks
}

function isEqual(database: DumpedDatabase, table: StateTableName, chunks: readonly Buffer[]): boolean {
  const cursor = database.cursor(table)
  try {
    return chunks.every((chunk) => cursor.take(chunk)) && cursor.peek() === undefined
  } finally {
    cursor.close()
  }
}

function allLines(database: DumpedDatabase, table: StateTableName): string[] {
  const cursor = database.cursor(table)
  const lines: string[] = []
  try {
    for (let line = cursor.peek(); line !== undefined; line = cursor.peek()) {
      lines.push(line)
      cursor.skip()
    }
    return lines
  } finally {
    cursor.close()
  }
}
