import type { TableName } from '../../../db/columns.ts'
import { KEYS, STORED } from '../../../db/postgres/tables.ts'
import { cellsOf } from '../dump/copy-text.ts'
import { replicasNamed } from '../tally.ts'

/** Where a row is not what the model says: in databases of some replicas, in one column, or as a whole (null). */
export type RowDifference = {
  readonly table: TableName
  /** The row's key, its parts joined by '/'. */
  readonly key: string
  readonly column: string | null
  /** Of those that differ; null: no such row, or null. */
  readonly values: ReadonlyMap<number, string | null>
  readonly model: string | null
}

/** Lines of one table, without line feeds, by key. */
export type LinesByKey = ReadonlyMap<string, string>

const columnsOf = (table: TableName): readonly string[] => STORED[table].split(', ')

/** The key of a line: in every table its columns come first. */
export function keyOfLine(table: TableName, line: string): string {
  const count = KEYS[table].length
  return cellsOf(line).slice(0, count).join('/')
}

export const byKey = (table: TableName, lines: readonly string[]): Map<string, string> =>
  new Map(lines.map((line) => [keyOfLine(table, line), line]))

/** `found`: of each replica, the lines where the model has `expected`. In the order of the model's keys. */
export function differencesIn(
  table: TableName,
  expected: LinesByKey,
  found: ReadonlyMap<number, LinesByKey>,
): RowDifference[] {
  const extra = [...found.values()].flatMap((lines) => [...lines.keys()].filter((key) => !expected.has(key)))
  return [...new Set([...expected.keys(), ...extra])].flatMap((key) =>
    differencesInRow(table, key, {
      model: expected.get(key),
      found: new Map([...found].map(([replica, lines]) => [replica, lines.get(key)])),
    }),
  )
}

type Row = {
  readonly model: string | undefined
  readonly found: ReadonlyMap<number, string | undefined>
}

function differencesInRow(table: TableName, key: string, { model, found }: Row): RowDifference[] {
  const wrong = [...found].filter(([, line]) => line !== model)
  if (wrong.length === 0) return []
  if (model === undefined) {
    const values = new Map(wrong.map(([replica, line]) => [replica, line ?? null]))
    return [{ table, key, column: null, values, model: null }]
  }
  const missing = wrong.filter(([, line]) => line === undefined).map(([replica]) => replica)
  const whole: RowDifference[] =
    missing.length === 0
      ? []
      : [{ table, key, column: null, values: new Map(missing.map((id) => [id, null])), model }]
  const modelCells = cellsOf(model)
  const inColumns = columnsOf(table).flatMap((column, at): RowDifference[] => {
    const values = new Map<number, string | null>()
    for (const [replica, line] of wrong) {
      const cell = line === undefined ? modelCells[at] : cellsOf(line)[at]
      if (cell !== modelCells[at]) values.set(replica, cell ?? null)
    }
    return values.size === 0 ? [] : [{ table, key, column, values, model: modelCells[at] ?? null }]
  })
  return [...whole, ...inColumns]
}

/** `all`: every replica whose database was compared here. */
export function differenceText(difference: RowDifference, all: readonly number[]): string {
  const { table, key, column, values, model } = difference
  const where = `table ${table}, row ${key}${column === null ? '' : `, column ${column}`}`
  const wrong = [...values].map(
    ([replica, value]) => `replica ${replica} has ${valueText(value, column !== null)}`,
  )
  const right = all.filter((replica) => !values.has(replica))
  const isCell = column !== null
  const says =
    right.length === 0
      ? `the model says ${valueText(model, isCell)}`
      : `${replicasNamed(right)} ${right.length === 1 ? 'has' : 'have'} ${valueText(model, isCell)}, as the model says`
  return `${where}: ${wrong.join(', ')}; ${says}`
}

const VALUE_CHARACTERS_MAX = 160

function valueText(value: string | null, isCell: boolean): string {
  if (value === null) return isCell ? 'null' : 'no such row'
  const text = value.replaceAll('\t', ' ')
  return text.length <= VALUE_CHARACTERS_MAX ? text : `${text.slice(0, VALUE_CHARACTERS_MAX)}...`
}
