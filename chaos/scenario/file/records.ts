import type { Place } from '../scenario.ts'
import type { Problems } from './problem.ts'

/** What stands between two commas, without the quotes around it, and where it begins. */
export type Field = { readonly text: string; readonly at: Place }
/** `isWhole`: false where the rest of the line was left out, since something is wrong with its quotes. */
export type FileRecord = { readonly fields: readonly Field[]; readonly isWhole: boolean }

const BYTE_ORDER_MARK = /^\ufeff/
const OPENING = '(['
const CLOSING = ')]'

/**
 * The records of a CSV file: RFC 4180, and what people type: spaces around quotes, empty lines, any line ends, and no
 * quotes where brackets hold a field together: `1,(A, C, 5),[n1, n2]` has three. Read here rather than by a package,
 * since those say no field's column, and none goes on behind a quote that is wrong, so that all problems are said.
 */
export function recordsOf(text: string, problems: Problems): FileRecord[] {
  const scan = new Scan(text.replace(BYTE_ORDER_MARK, ''))
  const records: FileRecord[] = []
  while (!scan.isAtEnd) {
    const record = recordFrom(scan, problems)
    if (!record.isWhole || record.fields.some((field) => field.text.trim() !== '')) records.push(record)
  }
  return records
}

function recordFrom(scan: Scan, problems: Problems): FileRecord {
  const fields: Field[] = []
  for (;;) {
    scan.skipSpaces()
    const field = scan.next === '"' ? quotedFrom(scan, problems) : bareFrom(scan)
    if (field === undefined) {
      scan.skipLine()
      return { fields, isWhole: false }
    }
    fields.push(field)
    if (scan.take() !== ',') return { fields, isWhole: true }
  }
}

function quotedFrom(scan: Scan, problems: Problems): Field | undefined {
  const quote = scan.place
  scan.take()
  const at = scan.place
  let text = ''
  for (let character = scan.take(); ; character = scan.take()) {
    if (character === '') {
      problems.add(quote, 'this quote is never closed: expected another " before the end of the file')
      scan.returnTo(quote)
      return undefined
    }
    if (character !== '"') text += character
    else if (scan.next === '"') text += scan.take()
    else break
  }
  scan.skipSpaces()
  if (scan.next === ',' || scan.isAtLineEnd) return { text, at }
  const begun = `the quotes that begin at ${quote.line}:${quote.column} end before it`
  problems.add(scan.place, `expected a comma or the end of the line: ${begun}`)
  return undefined
}

function bareFrom(scan: Scan): Field {
  const at = scan.place
  let text = ''
  let depth = 0
  while (!scan.isAtLineEnd && (scan.next !== ',' || depth > 0)) {
    const character = scan.take()
    if (OPENING.includes(character)) depth += 1
    if (CLOSING.includes(character)) depth -= 1
    text += character
  }
  return { text, at }
}

/** Characters one by one, and where they stand. */
class Scan {
  readonly #text: string
  #offset = 0
  #line = 1
  #lineStart = 0

  constructor(text: string) {
    this.#text = text
  }

  get next(): string {
    return this.#text[this.#offset] ?? ''
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#text.length
  }

  get isAtLineEnd(): boolean {
    return this.isAtEnd || this.next === '\n' || this.next === '\r'
  }

  get place(): Place {
    return { line: this.#line, column: this.#offset - this.#lineStart + 1 }
  }

  /** A line's end of two characters is one; nothing at the end. */
  take(): string {
    const character = this.next
    this.#offset += 1
    if (character === '\r' && this.next === '\n') this.#offset += 1
    if (character !== '\r' && character !== '\n') return character
    this.#line += 1
    this.#lineStart = this.#offset
    return '\n'
  }

  skipSpaces(): void {
    while (this.next === ' ' || this.next === '\t' || this.next === '\u00a0') this.take()
  }

  skipLine(): void {
    while (!this.isAtLineEnd) this.take()
    this.take()
  }

  /** To where reading was before: lines are found again from the start. */
  returnTo({ line, column }: Place): void {
    this.#offset = 0
    this.#line = 1
    this.#lineStart = 0
    while (this.#line < line) this.skipLine()
    this.#offset = this.#lineStart + column - 1
  }
}
