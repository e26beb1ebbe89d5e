import {
  LINKED_OPERATIONS_MAX,
  type Operation,
  parseRequestName,
  type RequestName,
} from '../protocol/operations.ts'
import { OPERATION_WORDS, type OperationWord, type Owners, parseOperation } from './operation-grammar.ts'
import { nearest } from './suggestion.ts'
import { type GrammarError, GrammarProblem, type Token, tokensOf } from './tokens.ts'

export type { GrammarError } from './tokens.ts'

export type Command =
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'lookup'; readonly name: RequestName }
  | { readonly kind: 'help' | 'status' | 'quit' }

export type Parsed =
  | { readonly ok: true; readonly commands: readonly Command[] }
  | { readonly ok: false; readonly error: GrammarError }

const OTHER_WORDS = ['linked', 'lookup', 'help', 'status', 'quit', 'exit'] as const

/** For completion and suggestions. */
export const COMMAND_WORDS: readonly string[] = [...Object.keys(OPERATION_WORDS), ...OTHER_WORDS]

export const HELP = `Amounts are whole minor units (cents, where the currency has them).

  deposit A 100            deposit $100 to A
  withdraw B 200           withdraw 200 from B
  transfer A B 100         move 100 from B to A
  get A                    get current balance for A        balance A
  history A [limit 20] [before 512]
  open A [for <client name or id>] [name "Ada Lovelace"] [address "12 St James's Square"]
  linked { transfer A B 1; transfer B C 1 }     all or nothing
  lookup <request name>    what became of a request whose answer did not come
  status   help   quit

Several commands, separated by commas, go as one request: deposit A 100, get A, withdraw A 50
Words are case-insensitive, account names are not; quote an account whose name is one of these words.`

/** Total: whatever the line is, the commands in it or what is wrong with it. An empty line is no commands. */
export function parseCommands(line: string, owners: Owners): Parsed {
  try {
    return { ok: true, commands: groupsOf(tokensOf(line)).map((group) => parseCommand(group, owners)) }
  } catch (problem) {
    if (!(problem instanceof GrammarProblem)) throw problem
    const { message, at, length } = problem
    return { ok: false, error: { message, at, length } }
  }
}

/** Two lines under the input: where, and what. */
export const explain = (line: string, { message, at, length }: GrammarError): string =>
  `  ${line}\n  ${' '.repeat(at)}${'^'.repeat(Math.max(1, length))}\n${message}`

/** Splits at separators outside braces; empty groups at the ends are a trailing comma, inside a mistake. */
function groupsOf(tokens: readonly Token[]): Token[][] {
  const groups: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if (token.kind === '{') depth++
    if (token.kind === '}') depth--
    if (depth < 0) throw new GrammarProblem('this brace closes nothing', token)
    if (token.kind !== 'separator' || depth > 0) groups.at(-1)?.push(token)
    else if (groups.at(-1)?.length === 0) throw new GrammarProblem('a command is missing before this', token)
    else groups.push([])
  }
  const open = tokens.find(({ kind }) => kind === '{')
  if (depth > 0 && open !== undefined)
    throw new GrammarProblem('this brace is never closed: } is missing', open)
  if (groups.at(-1)?.length === 0) groups.pop()
  return groups
}

function parseCommand(group: readonly Token[], owners: Owners): Command {
  const [verb, ...rest] = group
  if (verb === undefined) throw new Error('an empty group is not split off')
  const word = verb.text.toLowerCase()
  if (isOperationWord(word)) {
    return { kind: 'operation', operation: parseOperation(word, { verb, rest, owners }) }
  }
  switch (word) {
    case 'linked':
      return { kind: 'operation', operation: parseLinked(verb, rest, owners) }
    case 'lookup':
      return { kind: 'lookup', name: parseLookup(verb, rest) }
    case 'help':
    case 'status':
      return alone(word, rest)
    case 'quit':
    case 'exit':
      return alone('quit', rest)
    default: {
      const near = nearest(word, COMMAND_WORDS)
      const hint = near === undefined ? 'help lists the commands' : `did you mean ${near}?`
      throw new GrammarProblem(`unknown command ${JSON.stringify(verb.text)}: ${hint}`, verb)
    }
  }
}

const isOperationWord = (word: string): word is OperationWord => Object.hasOwn(OPERATION_WORDS, word)

function alone(kind: 'help' | 'status' | 'quit', [extra]: readonly Token[]): Command {
  if (extra !== undefined) throw new GrammarProblem(`${kind} takes nothing behind it`, extra)
  return { kind }
}

function parseLookup(verb: Token, [name, extra]: readonly Token[]): RequestName {
  const form = 'a request name: client/lane/number/digest, as the indeterminate error gave it'
  if (name === undefined) throw new GrammarProblem(`lookup needs ${form}`, verb)
  if (extra !== undefined) throw new GrammarProblem('lookup takes one request name', extra)
  const parsed = parseRequestName(name.text)
  if (parsed === undefined) throw new GrammarProblem(`this is not ${form}`, name)
  return parsed
}

function parseLinked(verb: Token, rest: readonly Token[], owners: Owners): Operation {
  const [open, ...behind] = rest
  const close = behind.at(-1)
  if (open?.kind !== '{' || close?.kind !== '}') {
    throw new GrammarProblem(
      'linked needs a group: linked { transfer A B 1; transfer B C 1 }',
      close ?? open ?? verb,
    )
  }
  const groups = groupsOf(behind.slice(0, -1))
  if (groups.length === 0 || groups.length > LINKED_OPERATIONS_MAX) {
    throw new GrammarProblem(`a linked group has 1 to ${LINKED_OPERATIONS_MAX} operations`, open)
  }
  const operations = groups.map(([inner, ...args]) => {
    if (inner === undefined) throw new Error('an empty group is not split off')
    const word = inner.text.toLowerCase()
    if (isOperationWord(word)) return parseOperation(word, { verb: inner, rest: args, owners })
    const words = Object.keys(OPERATION_WORDS)
    const hint = nearest(word, words) ?? `one of ${words.join(', ')}`
    throw new GrammarProblem(`${JSON.stringify(inner.text)} cannot stand in a linked group: ${hint}`, inner)
  })
  return { kind: 'linked', operations }
}
