import type { Place } from '../scenario.ts'
import type { Field } from './records.ts'

/** A word, or one of ( ) [ ] , ; */
export type Token = { readonly text: string; readonly at: Place }

/** Names and numbers; any other character but quotes and spaces is a token of its own. */
const TOKEN = /[\p{L}\p{N}_.+-]+|[^\s"'“”‘’]/gu

/** What a cell is made of: quotes around names and spaces anywhere mean nothing. */
export class Tokens {
  readonly #tokens: readonly Token[]
  readonly #end: Place
  #next = 0

  constructor({ text, at }: Field) {
    this.#tokens = [...text.matchAll(TOKEN)].map((match) => ({
      text: match[0],
      at: placeIn({ text, at }, match.index),
    }))
    this.#end = placeIn({ text, at }, text.trimEnd().length)
  }

  get isEmpty(): boolean {
    return this.#tokens.length === 0
  }

  get isAtEnd(): boolean {
    return this.#next >= this.#tokens.length
  }

  /** At the end: nothing, where the cell ends. */
  get peek(): Token {
    return this.#tokens[this.#next] ?? { text: '', at: this.#end }
  }

  take(): Token {
    const token = this.peek
    this.#next += 1
    return token
  }

  /** Takes it only if it is one of these. */
  accept(...texts: readonly string[]): boolean {
    const isThere = texts.includes(this.peek.text)
    if (isThere) this.#next += 1
    return isThere
  }
}

function placeIn({ text, at }: Field, offset: number): Place {
  const before = text.slice(0, offset).split('\n')
  const last = before.at(-1) ?? ''
  return before.length === 1
    ? { line: at.line, column: at.column + last.length }
    : { line: at.line + before.length - 1, column: last.length + 1 }
}
