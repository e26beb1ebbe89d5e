import type { AccountId, SimpleOperation } from '../protocol/operations.ts'
import {
  ACCOUNT_ID_PATTERN,
  EXTERNAL_ACCOUNT,
  HISTORY_ENTRIES_MAX,
  MONEY_MAX,
  NAME_CHARACTERS_MAX,
} from '../protocol/operations.ts'
import { type ClientId, clientId, seq } from '../protocol/types.ts'
import { GrammarProblem, type Token } from './tokens.ts'

/** Whom `open` can name: this client, and the clients of genesis. */
export type Owners = {
  readonly self: ClientId
  readonly clients: readonly { readonly id: number; readonly name: string }[]
}

type Phrase = { readonly verb: Token; readonly rest: readonly Token[]; readonly owners: Owners }

/** Each word with its parser. */
export const OPERATION_WORDS = {
  deposit: (phrase: Phrase) =>
    parsePayment(phrase, { kind: 'deposit', marker: 'to', example: 'deposit $100 to A' }),
  withdraw: (phrase: Phrase) =>
    parsePayment(phrase, { kind: 'withdraw', marker: 'from', example: 'withdraw $100 from A' }),
  transfer: parseTransfer,
  move: parseTransfer,
  get: parseBalance,
  balance: parseBalance,
  history: parseHistory,
  open: parseOpen,
} as const satisfies Record<string, (phrase: Phrase) => SimpleOperation>
export type OperationWord = keyof typeof OPERATION_WORDS

/** @throws GrammarProblem */
export const parseOperation = (word: OperationWord, phrase: Phrase): SimpleOperation =>
  OPERATION_WORDS[word](phrase)

// --- money

function parsePayment(
  phrase: Phrase,
  { kind, marker, example }: { kind: 'deposit' | 'withdraw'; marker: 'to' | 'from'; example: string },
): SimpleOperation {
  const { marked, plain } = splitMarked(phrase, [marker])
  const named = marked.get(marker)
  const { amount, accounts } = splitAmount(phrase, { plain, accountsWanted: named ? 0 : 1, example })
  const [account = named] = accounts
  return { kind, account: accountOf(account, phrase, example), amount }
}

function parseTransfer(phrase: Phrase): SimpleOperation {
  const example = 'move $100 from A to B'
  const { marked, plain } = splitMarked(phrase, ['from', 'to'])
  const { amount, accounts } = splitAmount(phrase, { plain, accountsWanted: 2 - marked.size, example })
  const from = accountOf(marked.get('from') ?? accounts.shift(), phrase, example)
  const toToken = marked.get('to') ?? accounts.shift()
  const to = accountOf(toToken, phrase, example)
  if (from === to) throw new GrammarProblem(`from ${from} to itself`, toToken ?? phrase.verb)
  return { kind: 'transfer', from, to, amount }
}

/** The words behind `from` and `to`, and the rest in order. */
function splitMarked(
  { rest }: Phrase,
  markers: readonly ('from' | 'to')[],
): { marked: Map<string, Token>; plain: Token[] } {
  const marked = new Map<string, Token>()
  const plain: Token[] = []
  for (let i = 0; i < rest.length; i++) {
    const token = rest[i]
    if (token === undefined) break
    const marker = markers.find((word) => isKeyword(token, word))
    if (marker === undefined) {
      plain.push(token)
      continue
    }
    const account = rest[++i]
    if (account === undefined) throw new GrammarProblem(`${marker} which account?`, token)
    if (marked.has(marker)) throw new GrammarProblem(`a second ${marker}`, token)
    marked.set(marker, account)
  }
  return { marked, plain }
}

const looksLikeAmount = ({ kind, text }: Token): boolean =>
  kind === 'word' && (text.includes('$') || /^[+-]?\.?\d[\d.']*$/.test(text))

/** Tells the amount from account names that are numbers too: by its $, else by being the only number. */
function splitAmount(
  { verb }: Phrase,
  { plain, accountsWanted, example }: { plain: readonly Token[]; accountsWanted: number; example: string },
): { amount: bigint; accounts: Token[] } {
  const dollars = plain.filter(({ text }) => text.includes('$'))
  const numbers = dollars.length > 0 ? dollars : plain.filter(looksLikeAmount)
  const [number, second] = numbers
  if (number === undefined) {
    throw new GrammarProblem(`an amount is missing, as in: ${example}`, plain.at(-1) ?? verb)
  }
  if (second !== undefined) {
    const which = accountsWanted > 0 ? 'which of these is the amount' : 'two amounts'
    throw new GrammarProblem(`${which}? Say it as in: ${example}`, second)
  }
  const accounts = plain.filter((token) => token !== number)
  const extra = accounts[accountsWanted]
  if (extra !== undefined) {
    throw new GrammarProblem(`${JSON.stringify(extra.text)} is one word too many; as in: ${example}`, extra)
  }
  return { amount: amountOf(number), accounts }
}

function amountOf(token: Token): bigint {
  const fail = (message: string) =>
    new GrammarProblem(`${message}: amounts are whole minor units, such as 150`, token)
  const text = token.text.replace('$', '')
  if (/^[+-]/.test(text)) throw fail(text.startsWith('-') ? 'the amount is negative' : 'no sign, please')
  if (/^\d*\.\d*$/.test(text)) throw fail('the amount is fractional')
  if (!/^\d+$/.test(text)) throw fail(`${JSON.stringify(token.text)} is not an amount`)
  const amount = BigInt(text)
  if (amount === 0n) throw fail('the amount is zero')
  if (amount > MONEY_MAX) throw fail(`the amount is above ${MONEY_MAX}`)
  return amount
}

// --- reading

/** Said for the sound of it: `get the current balance for A`. */
const FILLERS = ['the', 'current', 'balance', 'account', 'of', 'for', 'in']

function withoutFillers(rest: readonly Token[]): readonly Token[] {
  const [first, ...behind] = rest
  if (first === undefined || behind.length === 0) return rest
  return FILLERS.some((filler) => isKeyword(first, filler)) ? withoutFillers(behind) : rest
}

function parseBalance(phrase: Phrase): SimpleOperation {
  const example = 'get A'
  const [account, extra] = withoutFillers(phrase.rest)
  if (extra !== undefined) {
    throw new GrammarProblem('one account at a time, separated by commas: get A, get B', extra)
  }
  return { kind: 'balance', account: accountOf(account, phrase, example) }
}

function parseHistory(phrase: Phrase): SimpleOperation {
  const [account, ...options] = withoutFillers(phrase.rest)
  const values = splitOptions(options, ['limit', 'before'])
  const limit = wholeOf(values.get('limit'), { min: 1, max: HISTORY_ENTRIES_MAX }) ?? HISTORY_ENTRIES_MAX
  const before = wholeOf(values.get('before'), { min: 0, max: Number.MAX_SAFE_INTEGER })
  return {
    kind: 'history',
    account: accountOf(account, phrase, 'history A limit 20'),
    before: before === undefined ? null : seq(before),
    limit,
  }
}

// --- accounts

function parseOpen(phrase: Phrase): SimpleOperation {
  const { verb, rest, owners } = phrase
  const [account, ...options] = rest
  const values = splitOptions(options, ['for', 'name', 'address'])
  const address = values.get('address')
  const name = values.get('name')
  if (address !== undefined && name === undefined) {
    throw new GrammarProblem('an address takes a name too: open A name "Ada" address "..."', address)
  }
  return {
    kind: 'open',
    account: accountOf(account, { verb }, 'open A'),
    owner: ownerOf(values.get('for'), owners),
    customer: name === undefined ? null : { name: textOf(name), address: address ? textOf(address) : null },
  }
}

function ownerOf(token: Token | undefined, { self, clients }: Owners): ClientId {
  if (token === undefined) return self
  const found = clients.filter(({ id, name }) => name === token.text || String(id) === token.text)
  const [owner, second] = found
  if (second !== undefined) {
    const ids = found.map(({ id }) => id).join(', ')
    throw new GrammarProblem(`several clients are called so: say which by its id, one of ${ids}`, token)
  }
  if (owner !== undefined) return clientId(owner.id)
  throw new GrammarProblem(`genesis admits no client ${JSON.stringify(token.text)}`, token)
}

function textOf(token: Token): string {
  if (token.text.length >= 1 && token.text.length <= NAME_CHARACTERS_MAX) return token.text
  throw new GrammarProblem(`must be 1 to ${NAME_CHARACTERS_MAX} characters`, token)
}

// --- pieces

const isKeyword = ({ kind, text }: Token, word: string): boolean =>
  kind === 'word' && text.toLowerCase() === word

function accountOf(token: Token | undefined, { verb }: Pick<Phrase, 'verb'>, example: string): AccountId {
  if (token === undefined) throw new GrammarProblem(`an account is missing, as in: ${example}`, verb)
  const { text } = token
  if (text === EXTERNAL_ACCOUNT || ACCOUNT_ID_PATTERN.test(text)) return text
  throw new GrammarProblem(
    `${JSON.stringify(text)} is no account name: 1 to 64 letters, digits, _ . : - that start with a letter or digit`,
    token,
  )
}

/** `word value` pairs in any order, each at most once. */
function splitOptions(tokens: readonly Token[], words: readonly string[]): Map<string, Token> {
  const values = new Map<string, Token>()
  for (let i = 0; i < tokens.length; i += 2) {
    const key = tokens[i]
    const value = tokens[i + 1]
    if (key === undefined) break
    const word = words.find((candidate) => isKeyword(key, candidate))
    if (word === undefined || values.has(word)) {
      throw new GrammarProblem(
        `expected ${words.join(', ')} (each once), not ${JSON.stringify(key.text)}`,
        key,
      )
    }
    if (value === undefined) throw new GrammarProblem(`${word} what?`, key)
    values.set(word, value)
  }
  return values
}

function wholeOf(token: Token | undefined, { min, max }: { min: number; max: number }): number | undefined {
  if (token === undefined) return undefined
  const value = /^\d{1,16}$/.test(token.text) ? Number(token.text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new GrammarProblem(`must be a whole number from ${min} to ${max}`, token)
}
