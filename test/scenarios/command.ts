import type { Operation } from '../../protocol/operations.ts'

import { clientOf } from './parties.ts'

/** `verb word... key=value...` */
export class Command {
  readonly text: string
  readonly verb: string
  readonly words: readonly string[]
  readonly #options = new Map<string, string>()
  readonly #used = new Set<string>()

  constructor(text: string) {
    this.text = text
    const [verb = '', ...rest] = text.trim().split(/\s+/)
    this.verb = verb
    this.words = rest.filter((word) => !word.includes('='))
    for (const word of rest) {
      const [key, value] = word.split('=')
      if (key !== undefined && value !== undefined) this.#options.set(key, value)
    }
  }

  option(key: string): string | undefined {
    this.#used.add(key)
    return this.#options.get(key)
  }

  need(key: string): string {
    const value = this.option(key)
    if (value === undefined) throw new Error(`${this.text}: ${key}= is missing`)
    return value
  }

  number(key: string): number | undefined {
    const value = this.option(key)
    if (value === undefined) return undefined
    if (!/^\d+$/.test(value)) throw new Error(`${this.text}: ${key} is no number`)
    return Number(value)
  }

  /** `1,2`, or undefined when not given. */
  numbers(key: string): number[] | undefined {
    const value = this.option(key)
    if (value === undefined) return undefined
    return value === 'none' ? [] : value.split(',').map(Number)
  }

  has(word: string): boolean {
    return this.words.includes(word)
  }

  /** A misspelt option fails the scenario. */
  checkAllUsed(): void {
    for (const key of this.#options.keys()) {
      if (!this.#used.has(key)) throw new Error(`${this.text}: there is no option ${key}`)
    }
  }
}

/** `transfer a b 10`, `deposit a 5`, `balance a`, `lookup`, `open x`; several joined by `+`. */
export function operationsOf(words: readonly string[]): Operation[] {
  const operations: Operation[] = []
  let from = 0
  for (let at = 0; at <= words.length; at++) {
    if (at < words.length && words[at] !== '+') continue
    operations.push(operationOf(words.slice(from, at)))
    from = at + 1
  }
  return operations
}

function operationOf([kind, first = '', second = '', third = '']: readonly string[]): Operation {
  switch (kind) {
    case 'transfer':
      return { kind, from: first, to: second, amount: BigInt(third) }
    case 'deposit':
    case 'withdraw':
      return { kind, account: first, amount: BigInt(second) }
    case 'balance':
      return { kind, account: first }
    case 'open':
      return { kind, account: first, owner: clientOf(second), customer: null }
    case 'lookup':
      return { kind }
    default:
      throw new Error(`there is no operation ${kind}`)
  }
}
