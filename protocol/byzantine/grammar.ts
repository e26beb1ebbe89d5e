/** What a behaviour may name in brackets. Where it names none, it chooses itself. */
export type Argument = 'replicas' | 'client' | 'milliseconds' | 'rate' | 'none'

export type Description = { readonly argument: Argument; readonly does: string }

/** `targets`: ids of replicas or of a client, milliseconds or a rate, as its description says; empty where none were named. */
export type Named<Name extends string> = { readonly name: Name; readonly targets: readonly number[] }

/** A text that names no behaviours: `column`, from 1, is where it goes wrong. */
export class BehaviourError extends Error {
  override name = 'BehaviourError'
  readonly column: number

  constructor(column: number, problem: string) {
    super(`column ${column}: ${problem}`)
    this.column = column
  }
}

/** What replicas or clients can be told to do against the protocol, and how it is written. */
export class BehaviourGrammar<Name extends string> {
  readonly names: readonly Name[]
  readonly #table: Readonly<Record<Name, Description>>
  /** Names that others have for them. */
  readonly #aliases: Readonly<Record<string, Name>>

  constructor(table: Readonly<Record<Name, Description>>, aliases: Readonly<Record<string, Name>> = {}) {
    this.#table = table
    this.#aliases = aliases
    this.names = Object.keys(table).filter((word) => this.#isName(word))
  }

  /**
   * `sign; dark(n6); equivocation(n2, n3); slow(20)`: names, each with what it is aimed at, in any order. `nK` is the
   * K-th replica, K-1 by its id; a plain number is an id. Empty: none.
   * @throws BehaviourError
   */
  parse(text: string, { replicas }: { readonly replicas: number }): Named<Name>[] {
    const behaviours: Named<Name>[] = []
    const pattern = /\s*([^\s;,()]+)\s*(?:\(([^()]*)\))?\s*(?:[;,]|$)/y
    while (pattern.lastIndex < text.length && text.slice(pattern.lastIndex).trim() !== '') {
      const at = pattern.lastIndex
      const match = pattern.exec(text)
      if (match === null) {
        throw new BehaviourError(
          at + 1,
          `expected name or name(target, ...), separated by ";", not "${text.slice(at)}"`,
        )
      }
      const [, word = '', inside] = match
      const name = this.#nameOf(word, { column: text.indexOf(word, at) + 1 })
      const column = inside === undefined ? at + 1 : text.indexOf('(', at) + 2
      behaviours.push({ name, targets: this.#targetsOf(inside ?? '', { name, column, replicas }) })
    }
    return behaviours
  }

  /** What `parse` reads back. */
  format(behaviours: readonly Named<Name>[]): string {
    return behaviours
      .map(({ name, targets }) => (targets.length === 0 ? name : `${name}(${targets.join(',')})`))
      .join('; ')
  }

  #isName(word: string): word is Name {
    return Object.hasOwn(this.#table, word)
  }

  #nameOf(word: string, { column }: { readonly column: number }): Name {
    const lower = word.toLowerCase()
    const name = this.#aliases[lower] ?? lower
    if (this.#isName(name)) return name
    throw new BehaviourError(column, `"${word}" is no behaviour; there are ${this.names.join(', ')}`)
  }

  #targetsOf(
    inside: string,
    { name, column, replicas }: { readonly name: Name; readonly column: number; readonly replicas: number },
  ): number[] {
    const words = inside.split(/[\s,]+/).filter((word) => word !== '')
    const { argument } = this.#table[name]
    const refuse = (problem: string) => new BehaviourError(column, `${name}: ${problem}`)
    if (argument === 'none' && words.length > 0) throw refuse('it takes nothing in brackets')
    if (argument !== 'replicas' && words.length > 1) throw refuse('it takes one number in brackets')
    return words.map((word) => {
      const [, ordinal, number] = /^(?:n(\d{1,9})|(\d{1,9}))$/i.exec(word) ?? []
      const value = ordinal === undefined ? Number(number) : Number(ordinal) - 1
      if (argument !== 'replicas') {
        if (number !== undefined) return value
        throw refuse(`"${word}" is no whole number`)
      }
      if (value >= 0 && value < replicas) return value
      throw refuse(`"${word}" is no replica; they are n1 to n${replicas}, or 0 to ${replicas - 1}`)
    })
  }
}
