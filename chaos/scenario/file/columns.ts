import { found, type Problems } from './problem.ts'
import type { FileRecord } from './records.ts'

const COLUMNS = [
  { name: 'number', title: 'Set Number', begins: /^(set|testcase|number)/ },
  { name: 'transaction', title: 'Transactions', begins: /^transaction/ },
  { name: 'live', title: 'Live', begins: /^(live|active)/ },
  { name: 'byzantine', title: 'Byzantine', begins: /^(byzantine|malicious)/ },
  { name: 'attack', title: 'Attack', begins: /^attack/ },
] as const

export type ColumnName = (typeof COLUMNS)[number]['name']
export const HEADER = COLUMNS.map(({ title }) => title).join(',')

/** Where each column is, by the header: case and spaces vary, and what follows the first word. Undefined: it is wrong. */
export function columnsOf(
  header: FileRecord | undefined,
  problems: Problems,
): ReadonlyMap<ColumnName, number> | undefined {
  const [first] = header?.fields ?? []
  if (header === undefined || first === undefined) {
    problems.add(first?.at ?? { line: 1, column: 1 }, `expected the header ${HEADER}`)
    return undefined
  }
  const columns = new Map<ColumnName, number>()
  let isRight = header.isWhole
  for (const [index, { text, at }] of header.fields.entries()) {
    const word = text.toLowerCase().replaceAll(/[^a-z]/g, '')
    const column = COLUMNS.find(({ begins }) => begins.test(word))
    if (column !== undefined && !columns.has(column.name)) columns.set(column.name, index)
    else if (text.trim() !== '') {
      isRight = false
      problems.add(at, `${found(text)} is no column, or stands here twice: expected the header ${HEADER}`)
    }
  }
  const missing = COLUMNS.filter(({ name }) => !columns.has(name)).map(({ title }) => title)
  if (isRight && missing.length > 0) {
    problems.add(first.at, `the header lacks ${missing.join(', ')}: expected ${HEADER}`)
    isRight = false
  }
  return isRight ? columns : undefined
}
