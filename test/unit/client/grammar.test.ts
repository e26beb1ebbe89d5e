import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { COMMAND_WORDS, type Command, explain, parseCommands } from '../../../client/grammar.ts'
import { nearest } from '../../../client/suggestion.ts'
import { clientId } from '../../../protocol/types.ts'

const owners = {
  self: clientId(1000),
  clients: [
    { id: 1000, name: 'bank' },
    { id: 1001, name: 'Ada' },
    { id: 1002, name: 'twin' },
    { id: 1003, name: 'twin' },
  ],
}

function commandsOf(line: string): readonly Command[] {
  const parsed = parseCommands(line, owners)
  if (!parsed.ok) throw new Error(explain(line, parsed.error))
  return parsed.commands
}

const operationsOf = (line: string) =>
  commandsOf(line).map((command) => (command.kind === 'operation' ? command.operation : command))

function errorOf(line: string): string {
  const parsed = parseCommands(line, owners)
  if (parsed.ok) throw new Error(`accepted: ${line}`)
  return parsed.error.message
}

const deposit = (account: string, amount: bigint) => ({ kind: 'deposit', account, amount })
const withdraw = (account: string, amount: bigint) => ({ kind: 'withdraw', account, amount })
const transfer = (from: string, to: string, amount: bigint) => ({ kind: 'transfer', from, to, amount })
const get = (account: string) => ({ kind: 'balance', account })

describe('what people type', () => {
  test.each([
    ['deposit A 100', deposit('A', 100n)],
    ['deposit $100 to A', deposit('A', 100n)],
    ['deposit 100 to A', deposit('A', 100n)],
    ['deposit 100 A', deposit('A', 100n)],
    ['DEPOSIT to a $7', deposit('a', 7n)],
    ['deposit 100 to 200', deposit('200', 100n)],
    ['deposit 200 $100', deposit('200', 100n)],
    ['deposit "to" 5', deposit('to', 5n)],
    ['deposit A 9223372036854775807', deposit('A', 2n ** 63n - 1n)],
    ['withdraw 200 from B', withdraw('B', 200n)],
    ['withdraw B 200', withdraw('B', 200n)],
    ['move 100 from B to A', transfer('B', 'A', 100n)],
    ['Move $100 To A From B', transfer('B', 'A', 100n)],
    ['transfer A B 100', transfer('A', 'B', 100n)],
    ['transfer 100 from A to B', transfer('A', 'B', 100n)],
    ['transfer A to B 100', transfer('A', 'B', 100n)],
    ['transfer 1 2 $100', transfer('1', '2', 100n)],
    ['get A', get('A')],
    ['get current balance for A', get('A')],
    ['get the balance of A', get('A')],
    ['get balance', get('balance')],
    ['balance A', get('A')],
    ['get 42', get('42')],
    ['history A', { kind: 'history', account: 'A', before: null, limit: 100 }],
    ['history of A before 512 limit 5', { kind: 'history', account: 'A', before: 512, limit: 5 }],
    ['open X', { kind: 'open', account: 'X', owner: 1000, customer: null }],
    ['open X for Ada', { kind: 'open', account: 'X', owner: 1001, customer: null }],
    [
      'open X for 1001 name "Ada, \\"the\\" Countess" address "12 St James\'s Sq."',
      {
        kind: 'open',
        account: 'X',
        owner: 1001,
        customer: { name: 'Ada, "the" Countess', address: "12 St James's Sq." },
      },
    ],
    [
      'linked { transfer A B 1; transfer B C 1 }',
      { kind: 'linked', operations: [transfer('A', 'B', 1n), transfer('B', 'C', 1n)] },
    ],
    ['linked {deposit A 1, get A,}', { kind: 'linked', operations: [deposit('A', 1n), get('A')] }],
    ['exit', { kind: 'quit' }],
    ['HELP', { kind: 'help' }],
  ])('%s', (line, expected) => {
    expect(operationsOf(line)).toEqual([expected])
  })

  test('a comma list, in its order', () => {
    expect(operationsOf('deposit A 100, get A, deposit B 200, get B, withdraw C 100, get C')).toEqual([
      deposit('A', 100n),
      get('A'),
      deposit('B', 200n),
      get('B'),
      withdraw('C', 100n),
      get('C'),
    ])
    expect(operationsOf('deposit A 100,get A;get B')).toHaveLength(3)
    expect(operationsOf('get A,')).toEqual([get('A')])
    expect(operationsOf('   ')).toEqual([])
  })

  test('a lookup by the name that an error gave', () => {
    const digest = 'ab'.repeat(32)
    expect(commandsOf(`lookup 1000/3/1700000000000000/${digest}`)).toEqual([
      { kind: 'lookup', name: { client: 1000, lane: 3, number: 1_700_000_000_000_000, digest } },
    ])
  })
})

describe('what they get wrong', () => {
  test.each([
    ['depsoit A 100', 'unknown command "depsoit": did you mean deposit?'],
    ['wtihdraw A 1', 'did you mean withdraw?'],
    ['frobnicate', 'help lists the commands'],
    ['constructor A 1', 'unknown command'],
    ['deposit A 1,000', 'is 1,000 one number? Write 1000'],
    ['deposit $1,000,000 to A', 'is $1,000,000 one number? Write $1000000'],
    ['deposit A 1.50', 'the amount is fractional: amounts are whole minor units'],
    ['deposit A .5', 'the amount is fractional'],
    ['deposit A -5', 'the amount is negative'],
    ['deposit A $-5', 'the amount is negative'],
    ['deposit A +5', 'no sign'],
    ['deposit A 0', 'the amount is zero'],
    ['deposit A 9223372036854775808', 'the amount is above 9223372036854775807'],
    ['deposit A 5$5$', 'is not an amount'],
    ['deposit A ten', 'an amount is missing, as in: deposit $100 to A'],
    ['deposit A', 'an amount is missing'],
    ['deposit 100', 'an account is missing'],
    ['deposit 100 to', 'to which account?'],
    ['deposit 100 200', 'which of these is the amount?'],
    ['deposit A 100 now', '"now" is one word too many'],
    ['deposit A 100 get A', 'one word too many'],
    ['deposit a/b 100', '"a/b" is no account name'],
    ['move 100 from A', 'an account is missing'],
    ['move 100 from A from B', 'a second from'],
    ['transfer A A 5', 'from A to itself'],
    ['get', 'an account is missing'],
    ['get A B', 'one account at a time'],
    ['history A limit 101', 'from 1 to 100'],
    ['history A since 5', 'expected limit, before'],
    ['open X for Bob', 'genesis admits no client "Bob"'],
    ['open X for twin', 'one of 1002, 1003'],
    ['open X address "Sq."', 'an address takes a name too'],
    ['open X name ""', 'must be 1 to 200'],
    ['open X name "Ada', 'never closed'],
    ['get A,, get B', 'a command is missing before this'],
    ['linked transfer A B 1', 'linked needs a group'],
    ['linked { transfer A B 1', 'never closed'],
    ['linked { }', 'a linked group has 1 to 64'],
    ['linked { linked { get A } }', 'cannot stand in a linked group'],
    ['linked { lookup x }', 'cannot stand in a linked group'],
    ['get A }', 'closes nothing'],
    ['lookup 1/2/3', 'this is not a request name'],
    ['help me', 'takes nothing behind it'],
  ])('%s', (line, message) => {
    expect(errorOf(line)).toContain(message)
  })

  test('the place is shown under the line', () => {
    const line = 'get A, depsoit B 1'
    const parsed = parseCommands(line, owners)
    expect(parsed.ok ? '' : explain(line, parsed.error)).toBe(
      '  get A, depsoit B 1\n         ^^^^^^^\nunknown command "depsoit": did you mean deposit?',
    )
  })
})

test('the parser is total', () => {
  const words = fc.oneof(
    fc.constantFrom(
      ...COMMAND_WORDS,
      'from',
      'to',
      'for',
      'name',
      '{',
      '}',
      ',',
      ';',
      '"',
      '$5',
      '1,000',
      '-1',
      'A',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  )
  const line = fc
    .array(words, { maxLength: 12 })
    .chain((parts) => fc.constantFrom(parts.join(' '), parts.join('')))
  fc.assert(
    fc.property(line, (text) => {
      const parsed = parseCommands(text, owners)
      if (parsed.ok) return
      expect(parsed.error.message).not.toBe('')
      expect(parsed.error.at + parsed.error.length).toBeLessThanOrEqual(text.length)
    }),
    { numRuns: 2_000 },
  )
})

test('a suggestion is near or absent', () => {
  expect(nearest('trnsfer', COMMAND_WORDS)).toBe('transfer')
  expect(nearest('GETT', COMMAND_WORDS)).toBe('get')
  expect(nearest('xyzzy', COMMAND_WORDS)).toBeUndefined()
  expect(nearest('d'.repeat(1_000_000), COMMAND_WORDS)).toBeUndefined()
})
