import { type AccountId, HISTORY_ENTRIES_MAX, type Operation } from '../../protocol/operations.ts'
import { type ClientId, clientId } from '../../protocol/types.ts'
import type { Random } from '../sim/random.ts'

/** Accounts that a chaos run works on, two or more: many meet on the hot ones, the cold ones are there to be compared. */
export type CustomerAccounts = { readonly hot: readonly AccountId[]; readonly cold: readonly AccountId[] }

export type CustomerCall =
  | { readonly kind: 'submit'; readonly operations: readonly Operation[] }
  | { readonly kind: 'read'; readonly accounts: readonly AccountId[] }

export function customerAccounts({
  hot,
  cold,
}: {
  readonly hot: number
  readonly cold: number
}): CustomerAccounts {
  const named = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${prefix}-${String(i + 1).padStart(String(count).length, '0')}`)
  return { hot: named('hot', hot), cold: named('cold', cold) }
}

/** Of 100 picks of an account, and of 100 calls. */
const HOT_PICKS = 60
const CALLS = {
  read: 30,
  transfer: 72,
  deposit: 79,
  withdraw: 86,
  linked: 92,
  several: 95,
  look: 98,
} as const
const AMOUNT_MAX = 40
/** Now and then more than anybody has: refusals are results, too. */
const AMOUNT_TOO_MUCH = 1_000_000n
const TOO_MUCH_CHANCE = 0.03
const READ_ACCOUNTS_MAX = 3
const GROUP_MAX = 3

/** One caller's calls, one after the other. They depend on the seed alone, not on answers. */
export class Customer {
  readonly #random: Random
  readonly #accounts: CustomerAccounts
  readonly #self: ClientId
  readonly #name: string
  #opened = 0

  constructor(args: {
    readonly random: Random
    readonly accounts: CustomerAccounts
    readonly client: number
    /** Unlike other callers': names the accounts that it opens. */
    readonly name: string
  }) {
    this.#random = args.random
    this.#accounts = args.accounts
    this.#self = clientId(args.client)
    this.#name = args.name
  }

  next(): CustomerCall {
    const roll = this.#random.int(0, 99)
    if (roll < CALLS.read) {
      const accounts = Array.from({ length: this.#random.int(1, READ_ACCOUNTS_MAX) }, () => this.#account())
      return { kind: 'read', accounts: [...new Set(accounts)] }
    }
    return { kind: 'submit', operations: this.#operations(roll) }
  }

  #operations(roll: number): Operation[] {
    if (roll < CALLS.transfer) return [this.#transfer()]
    if (roll < CALLS.deposit) return [{ kind: 'deposit', account: this.#account(), amount: this.#amount() }]
    if (roll < CALLS.withdraw) return [{ kind: 'withdraw', account: this.#account(), amount: this.#amount() }]
    if (roll < CALLS.linked) return [{ kind: 'linked', operations: this.#several() }]
    if (roll < CALLS.several) return this.#several()
    if (roll < CALLS.look) return this.#look()
    this.#opened += 1
    return [{ kind: 'open', account: `${this.#name}-${this.#opened}`, owner: this.#self, customer: null }]
  }

  /** In the order, beside other work: a balance and the history behind it are of one state. */
  #look(): Operation[] {
    const account = this.#account()
    return [
      { kind: 'balance', account },
      { kind: 'history', account, before: null, limit: this.#random.int(1, HISTORY_ENTRIES_MAX / 10) },
    ]
  }

  #several() {
    return Array.from({ length: this.#random.int(2, GROUP_MAX) }, () => this.#transfer())
  }

  #transfer() {
    const from = this.#account()
    let to = this.#account()
    while (to === from) to = this.#account()
    return { kind: 'transfer', from, to, amount: this.#amount() } as const
  }

  #amount(): bigint {
    if (this.#random.chance(TOO_MUCH_CHANCE)) return AMOUNT_TOO_MUCH
    return BigInt(this.#random.int(1, AMOUNT_MAX))
  }

  #account(): AccountId {
    const { hot, cold } = this.#accounts
    return this.#random.pick(this.#random.int(0, 99) < HOT_PICKS ? hot : cold)
  }
}
