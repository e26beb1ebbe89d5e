import type { TableName, Tables } from '../../../db/columns.ts'
import { CELLS } from '../../../db/postgres/cells.ts'
import type { TextRow } from '../../../db/postgres/session.ts'

/** Rows as `copy ... to stdout` prints them: columns between tabs, a line each, nothing as \N. */
export type RowText = <T extends TableName>(table: T, row: Tables[T]) => string

const NULL = '\\N'
const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}
const ESCAPED: ReadonlyMap<string, string> = new Map(
  Object.entries(ESCAPES).map(([character, escaped]) => [escaped, character]),
)

/** With its line feed. */
export const rowText: RowText = (table, row) => {
  let line = ''
  for (const { type, of } of CELLS[table]) {
    const cell = of(row)
    line += line === '' ? '' : '\t'
    if (cell === null) line += NULL
    else if (typeof cell === 'object') line += `\\\\x${Buffer.from(cell).toString('hex')}`
    else if (type === 'text') line += escaped(String(cell))
    else line += String(cell)
  }
  return `${line}\n`
}

const escaped = (text: string): string =>
  /[\\\b\f\n\r\t\v]/.test(text) ? text.replace(/[\\\b\f\n\r\t\v]/g, (one) => ESCAPES[one] ?? one) : text

/** The columns of a line, without its line feed. */
export const cellsOf = (line: string): TextRow =>
  line.split('\t').map((cell) => (cell === NULL ? null : unescaped(cell)))

const unescaped = (cell: string): string =>
  /^\\\\x[0-9a-f]*$/.test(cell) ? cell.slice(1) : unescapedText(cell)

const unescapedText = (cell: string): string =>
  cell.includes('\\') ? cell.replace(/\\[\\bfnrtv]/g, (two) => ESCAPED.get(two) ?? two) : cell
