import type { Genesis } from '../../../protocol/config.ts'
import type { Operation, OperationResult, ReadValue } from '../../../protocol/operations.ts'

/**
 * The bank once more, as small as the witness needs it, and written without a look at the ledger's own state machine:
 * balances by account, who owns it, who is a teller. It knows no sequence numbers, versions or histories.
 */
type Account = {
  /** Undefined: nobody said. */
  readonly owner: number | null | undefined
  /** Null: there is no such account. */
  readonly balance: bigint | null
}
/** What is known of each account; a value, never changed in place. */
export type BankState = ReadonlyMap<string, Account>

const OUTSIDE = '@external'
const MOST = 2n ** 63n - 1n
const ABSENT: Account = { owner: undefined, balance: null }

export type Call = {
  readonly client: number
  readonly operations: readonly Operation[]
  /** Null where the caller was told nothing: any result will do. */
  readonly results: readonly OperationResult[] | null
  /** Of a read. */
  readonly values: readonly ReadValue[] | null
}

type Move = { readonly from: string; readonly to: string; readonly amount: bigint }
/** `sure` false: what is not known decides whether it is so. */
type Step = { readonly sure: boolean; readonly state: BankState } & (
  | { readonly kind: 'done'; readonly balances: readonly [bigint | null, bigint | null] | null }
  | { readonly kind: 'refused'; readonly code: string }
)

export class SmallBank {
  readonly #tellers: ReadonlySet<number>
  readonly #clients: ReadonlySet<number>
  /** Accounts that nobody spoke of: there are none, or nothing is known of them. */
  readonly #knowsAll: boolean
  readonly start: BankState

  /** `knowsAll`: the first call finds what genesis made; else balances show in the first answers about them. */
  constructor(genesis: Genesis, { knowsAll }: { readonly knowsAll: boolean }) {
    this.#knowsAll = knowsAll
    this.#tellers = new Set(genesis.clients.filter(({ role }) => role === 'teller').map(({ id }) => id))
    this.#clients = new Set(genesis.clients.map(({ id }) => id))
    const outside = -genesis.accounts.reduce((sum, { balance }) => sum + balance, 0n)
    this.start = new Map<string, Account>(
      knowsAll
        ? [
            [OUTSIDE, { owner: null, balance: outside }],
            ...genesis.accounts.map(({ id, owner, balance }): [string, Account] => [id, { owner, balance }]),
          ]
        : [],
    )
  }

  /** The state after the call; undefined when the caller could not have been told there what it was told. */
  apply(state: BankState, call: Call): BankState | undefined {
    if (call.values !== null) return this.#read(state, call.values)
    let now = state
    for (const [index, operation] of call.operations.entries()) {
      const result = call.results?.[index] ?? null
      const next = this.#operate(now, { client: call.client, operation, result })
      if (next === undefined) return undefined
      now = next
    }
    return now
  }

  /** Undefined: not known. */
  #account(state: BankState, id: string): Account | undefined {
    return state.get(id) ?? (this.#knowsAll ? ABSENT : undefined)
  }

  #read(state: BankState, values: readonly Pick<ReadValue, 'account' | 'balance'>[]): BankState | undefined {
    let now = state
    for (const { account, balance } of values) {
      const known = this.#account(now, account)
      if (known === undefined) now = new Map(now).set(account, { owner: undefined, balance })
      else if (known.balance !== balance) return undefined
    }
    return now
  }

  #operate(state: BankState, asked: Asked): BankState | undefined {
    const { operation, result } = asked
    if (operation.kind === 'linked') return this.#group(state, { ...asked, operations: operation.operations })
    if (result !== null && isTakenAsItIs(result)) return state
    if (operation.kind === 'balance') return this.#balance(state, operation.account, result)
    const step = this.#step(state, asked.client, operation)
    if (step === undefined) return state
    if (result === null) return step.sure ? step.state : this.#forget(step.state, operation)
    return told(step, operation, result)
  }

  #balance(state: BankState, account: string, result: OperationResult | null): BankState | undefined {
    if (result === null) return state
    if (result.kind === 'refused') return this.#read(state, [{ account, balance: null }])
    return result.kind === 'balance' ? this.#read(state, [{ account, balance: result.balance }]) : undefined
  }

  #group(state: BankState, { client, operations, result }: Group): BankState | undefined {
    if (result !== null && result.kind === 'refused') {
      const { index = 0 } = result
      return this.#mayAbort(state, { client, operations: operations.slice(0, index + 1) }) ? state : undefined
    }
    if (result !== null && result.kind !== 'linked') return undefined
    let now = state
    for (const [index, operation] of operations.entries()) {
      const step = this.#step(now, client, operation)
      // Nobody was told: the group is undone as a whole.
      if (result === null && step?.kind === 'refused' && step.sure) return state
      const next = this.#operate(now, { client, operation, result: result?.results[index] ?? null })
      if (next === undefined) return undefined
      now = next
    }
    return now
  }

  /** Whether all but the last may be done, and the last refused. */
  #mayAbort(
    state: BankState,
    { client, operations }: { readonly client: number; readonly operations: readonly Operation[] },
  ): boolean {
    let now = state
    for (const [index, operation] of operations.entries()) {
      const step = this.#step(now, client, operation)
      if (step === undefined || !step.sure) return true
      if (step.kind === 'refused') return index === operations.length - 1
      now = step.state
    }
    // What is not modelled may have been refused for its form.
    return operations.at(-1)?.kind === 'balance' || operations.at(-1)?.kind === 'history'
  }

  /** Undefined for what changes nothing and is not modelled. */
  #step(state: BankState, client: number, operation: Operation): Step | undefined {
    switch (operation.kind) {
      case 'open':
        return this.#open(state, client, operation)
      case 'deposit':
        return this.#move(state, client, { from: OUTSIDE, to: operation.account, amount: operation.amount })
      case 'withdraw':
        return this.#move(state, client, { from: operation.account, to: OUTSIDE, amount: operation.amount })
      case 'transfer':
        return this.#move(state, client, operation)
      default:
        return undefined
    }
  }

  #open(state: BankState, client: number, { account, owner }: Extract<Operation, { kind: 'open' }>): Step {
    const refuse = (code: string): Step => ({ kind: 'refused', sure: true, state, code })
    if (owner !== client && !this.#tellers.has(client)) return refuse('not-authorised')
    if (!this.#clients.has(owner)) return refuse('unknown-owner')
    const known = this.#account(state, account)
    if (known !== undefined && known.balance !== null) return refuse('account-exists')
    const after = new Map(state).set(account, { owner, balance: 0n })
    return { kind: 'done', sure: known !== undefined, state: after, balances: null }
  }

  #move(state: BankState, client: number, { from, to, amount }: Move): Step {
    const refuse = (code: string): Step => ({ kind: 'refused', sure: true, state, code })
    const isTeller = this.#tellers.has(client)
    if (amount <= 0n || amount > MOST) return refuse('invalid-amount')
    if (from === to) return refuse('same-account')
    if ((from === OUTSIDE || to === OUTSIDE) && !isTeller) return refuse('not-authorised')
    const debit = this.#account(state, from)
    const credit = this.#account(state, to)
    if (debit?.balance === null || credit?.balance === null) return refuse('unknown-account')
    const isOwner = debit?.owner === undefined || debit.owner === client
    if (!isOwner && !isTeller) return refuse('not-authorised')
    const left = debit === undefined ? null : debit.balance - amount
    const sum = credit === undefined ? null : credit.balance + amount
    const sure = left !== null && sum !== null && debit?.owner !== undefined
    if (left !== null && from !== OUTSIDE && left < 0n)
      return { kind: 'refused', sure, state, code: 'insufficient-funds' }
    if ((left !== null && left < -MOST) || (sum !== null && sum > MOST)) return refuse('balance-overflow')
    const after = new Map(state)
    if (debit !== undefined) after.set(from, { owner: debit.owner, balance: left })
    if (credit !== undefined) after.set(to, { owner: credit.owner, balance: sum })
    return { kind: 'done', sure, state: after, balances: [left, sum] }
  }

  /** It may have been done or refused: nothing is known of what it touches. */
  #forget(state: BankState, operation: Operation): BankState {
    const after = new Map(state)
    for (const account of accountsOf(operation)) after.delete(account)
    return after
  }
}

type Asked = {
  readonly client: number
  readonly operation: Operation
  readonly result: OperationResult | null
}
type Group = {
  readonly client: number
  readonly operations: readonly Operation[]
  readonly result: OperationResult | null
}

/** The state when `result` was told after the step; undefined when it can't have been. */
function told(step: Step, operation: Operation, result: OperationResult): BankState | undefined {
  if (result.kind === 'refused') {
    if (!step.sure) return step.kind === 'refused' ? step.state : undone(step, operation)
    return step.kind === 'refused' && step.code === result.code ? step.state : undefined
  }
  if (step.kind === 'refused') return undefined
  if (result.kind === 'opened') return step.balances === null ? step.state : undefined
  if (result.kind !== 'transferred' || step.balances === null) return undefined
  const [from, to] = accountsOf(operation)
  const [left, sum] = step.balances
  if (from === undefined || to === undefined) return undefined
  if ((left !== null && left !== result.debitBalance) || (sum !== null && sum !== result.creditBalance))
    return undefined
  if (left !== null && sum !== null) return step.state
  const after = new Map(step.state)
  if (left === null) after.set(from, { owner: undefined, balance: result.debitBalance })
  if (sum === null) after.set(to, { owner: undefined, balance: result.creditBalance })
  return after
}

/** A refusal where not enough is known to say that there was none: what it touches stays as little known. */
function undone(step: Step & { readonly kind: 'done' }, operation: Operation): BankState {
  const after = new Map(step.state)
  for (const account of accountsOf(operation)) after.delete(account)
  return after
}

function accountsOf(operation: Operation): readonly string[] {
  switch (operation.kind) {
    case 'transfer':
      return [operation.from, operation.to]
    case 'deposit':
      return [OUTSIDE, operation.account]
    case 'withdraw':
      return [operation.account, OUTSIDE]
    case 'open':
      return [operation.account]
    default:
      return []
  }
}

/** Refusals for the form of an operation, and results that are about the past. */
function isTakenAsItIs(result: OperationResult): boolean {
  if (result.kind === 'history' || result.kind === 'lookup' || result.kind === 'recovered') return true
  if (result.kind !== 'refused') return false
  return ['invalid-account-name', 'invalid-name', 'invalid-limit'].includes(result.code)
}
