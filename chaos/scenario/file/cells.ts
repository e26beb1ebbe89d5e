import { nearest } from '../../../client/suggestion.ts'
import { MONEY_MAX } from '../../../protocol/operations.ts'
import type { ReplicaId } from '../../../protocol/types.ts'
import {
  ATTACK_NAMES,
  type Attack,
  CLIENTS,
  type ClientName,
  clientNamed,
  type Place,
  REPLICAS,
  replicaNamed,
  type Transaction,
} from '../scenario.ts'
import { found, type Problems } from './problem.ts'
import type { Field } from './records.ts'
import { type Token, Tokens } from './tokens.ts'

export type PlacedReplica = { readonly replica: ReplicaId; readonly at: Place }
export type PlacedAttack = { readonly attack: Attack; readonly at: Place }

const TRANSACTION = 'a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT)'
const ATTACKS = 'sign, crash, dark(n6), time, equivocation(n7)'

/** Undefined for what is none: `problems` says why. */
export function numberFrom(field: Field, problems: Problems): number | undefined {
  const text = field.text.trim()
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  problems.add(field.at, `expected the number of a set, a whole number from 1 on, not ${found(text)}`)
  return undefined
}

/** `(A, C, 5)`, or `(G)`. */
export function transactionFrom(field: Field, problems: Problems): Transaction | undefined {
  const tokens = new Tokens(field)
  const fail = ({ text, at }: Token, expected: string) => {
    const instead = text === '' ? ` behind ${found(field.text)}` : `, not ${found(text)}`
    problems.add(at, `${TRANSACTION}: expected ${expected}${instead}`)
    return undefined
  }
  if (tokens.isEmpty) {
    problems.add(tokens.peek.at, `expected ${TRANSACTION}, not nothing`)
    return undefined
  }
  if (!tokens.accept('(')) return fail(tokens.peek, '"("')
  const words: Token[] = []
  do words.push(tokens.take())
  while (tokens.accept(','))
  const [first, second, third, fourth] = words
  const close = tokens.peek
  if (!tokens.accept(')')) return fail(close, words.length < 3 ? '"," or ")"' : '")"')
  if (!tokens.isAtEnd) return fail(tokens.peek, 'nothing behind ")"')
  if (first === undefined || (second !== undefined && third === undefined))
    return fail(close, '"," and an amount')
  if (fourth !== undefined) return fail(fourth, '")" behind the amount')
  if (second === undefined || third === undefined) {
    const account = clientFrom(first, problems)
    return account === undefined ? undefined : { kind: 'read', account }
  }
  return transferFrom({ from: first, to: second, amount: third }, problems)
}

function transferFrom(
  words: { readonly from: Token; readonly to: Token; readonly amount: Token },
  problems: Problems,
): Transaction | undefined {
  const from = clientFrom(words.from, problems)
  const to = clientFrom(words.to, problems)
  const amount = amountFrom(words.amount, problems)
  if (from !== undefined && from === to) {
    problems.add(words.to.at, `${from} pays itself: expected a receiver other than the sender`)
  }
  if (from === undefined || to === undefined || amount === undefined) return undefined
  return { kind: 'transfer', from, to, amount }
}

function clientFrom({ text, at }: Token, problems: Problems): ClientName | undefined {
  const client = clientNamed(text)
  if (client === undefined) {
    problems.add(at, `expected a client, ${CLIENTS[0]} to ${CLIENTS.at(-1)}, not ${found(text)}`)
  }
  return client
}

function amountFrom({ text, at }: Token, problems: Problems): bigint | undefined {
  const amount = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n
  if (amount > 0n && amount <= MONEY_MAX) return amount
  problems.add(at, `expected an amount, a whole number from 1 on, not ${found(text)}`)
  return undefined
}

/** `[n1, n2]`, with brackets or without; nothing is an empty list. */
export function replicasFrom(field: Field, problems: Problems): PlacedReplica[] {
  const tokens = new Tokens(field)
  const close = tokens.accept('[') ? ']' : ''
  const replicas: PlacedReplica[] = []
  while (!tokens.isAtEnd && tokens.peek.text !== ']') {
    const replica = replicaFrom(tokens.take(), problems, replicas)
    if (replica === undefined) return replicas
    replicas.push(replica)
    if (!tokens.accept(',', ';') && tokens.peek.text !== close) {
      problems.add(tokens.peek.at, `expected "," or "]", not ${found(tokens.peek.text)}`)
      return replicas
    }
  }
  closeList(tokens, close, problems)
  return replicas
}

function closeList(tokens: Tokens, close: string, problems: Problems): void {
  const { text, at } = tokens.peek
  if (close !== '' && !tokens.accept(close)) problems.add(at, `expected "]", not ${found(text)}`)
  else if (!tokens.isAtEnd) {
    problems.add(tokens.peek.at, `expected nothing behind the list, not ${found(tokens.peek.text)}`)
  }
}

function replicaFrom(
  { text, at }: Token,
  problems: Problems,
  before: readonly PlacedReplica[],
): PlacedReplica | undefined {
  const replica = replicaNamed(text)
  if (replica === undefined) {
    problems.add(at, `expected a replica, n1 to n${REPLICAS}, not ${found(text)}`)
    return undefined
  }
  if (before.some((one) => one.replica === replica)) {
    problems.add(at, `${text} is in this list twice: expected each replica once`)
  }
  return { replica, at }
}

/** `[time; dark(n6); equivocation(n7)]`, with brackets or without; nothing is an empty list. */
export function attacksFrom(field: Field, problems: Problems): PlacedAttack[] {
  const tokens = new Tokens(field)
  const close = tokens.accept('[') ? ']' : ''
  const attacks: PlacedAttack[] = []
  while (!tokens.isAtEnd && tokens.peek.text !== ']') {
    const attack = attackFrom(tokens, problems)
    if (attack === undefined) return attacks
    attacks.push(attack)
    if (!tokens.accept(',', ';') && tokens.peek.text !== close) {
      problems.add(tokens.peek.at, `expected ";" or "]", not ${found(tokens.peek.text)}`)
      return attacks
    }
  }
  closeList(tokens, close, problems)
  return attacks
}

function attackFrom(tokens: Tokens, problems: Problems): PlacedAttack | undefined {
  const { text, at } = tokens.take()
  const name = ATTACK_NAMES.find((one) => one === text.toLowerCase())
  if (name === undefined) {
    const meant = nearest(text, ATTACK_NAMES)
    const hint = meant === undefined ? '' : `: did you mean ${meant}?`
    problems.add(at, `expected an attack (${ATTACKS}), not ${found(text)}${hint}`)
    return undefined
  }
  const targets = targetsFrom(tokens, problems)
  if (targets === undefined) return undefined
  if (name === 'dark' || name === 'equivocation') {
    if (targets.length > 0) return { attack: { name, targets }, at }
    problems.add(at, `${name} needs to know against whom: expected ${name}(n6), say`)
    return undefined
  }
  if (targets.length === 0) return { attack: { name }, at }
  problems.add(at, `${name} is aimed at nobody: expected ${name} without brackets behind it`)
  return undefined
}

/** Empty where there are no brackets. */
function targetsFrom(tokens: Tokens, problems: Problems): ReplicaId[] | undefined {
  const targets: PlacedReplica[] = []
  if (!tokens.accept('(')) return []
  while (!tokens.accept(')')) {
    const target = replicaFrom(tokens.take(), problems, targets)
    if (target === undefined) return undefined
    targets.push(target)
    if (tokens.accept(',', ';') || tokens.peek.text === ')') continue
    problems.add(tokens.peek.at, `expected "," or ")", not ${found(tokens.peek.text)}`)
    return undefined
  }
  return targets.map(({ replica }) => replica)
}
