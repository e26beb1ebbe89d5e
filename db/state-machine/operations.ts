import type { AccountId, OperationResult, RefusalCode, SimpleOperation } from '../../protocol/operations.ts'
import {
  ACCOUNT_ID_PATTERN,
  EXTERNAL_ACCOUNT,
  HISTORY_ENTRIES_MAX,
  MONEY_MAX,
  NAME_CHARACTERS_MAX,
} from '../../protocol/operations.ts'
import { REFUSAL_DETAIL_CHARACTERS_MAX } from '../../protocol/results-codec.ts'
import type { PrincipalId } from '../../protocol/types.ts'
import { assertNever } from '../../protocol/types.ts'
import type { PrincipalRow } from '../rows.ts'
import type { RunState } from './run-state.ts'

/**
 * The entries that all histories of one request may ask for together: bounds the reply, which the client table
 * keeps and the digest covers.
 */
export const REQUEST_HISTORY_ENTRIES_MAX = 500

/** Whose request is executed, and what is left of its budgets. */
export type Caller = {
  readonly id: PrincipalId
  /** `replica` is a principal without an account: it may use none of these operations. */
  readonly role: PrincipalRow['role']
  historyEntriesLeft: number
}

/**
 * One operation of `caller`'s request. Refusals are checked in this order, and the first one that holds is the
 * result at every replica:
 *
 *   invalid-account-name, invalid-name, invalid-amount, invalid-limit   the operation by itself
 *   same-account
 *   not-authorised                                                      by role: replicas, deposit, withdraw, open
 *   unknown-owner, unknown-account (debit before credit), account-exists
 *   not-authorised                                                      by owner: the debited account is another's
 *   insufficient-funds, balance-overflow
 */
export function executeOperation(
  state: RunState,
  caller: Caller,
  operation: SimpleOperation,
): OperationResult {
  switch (operation.kind) {
    case 'open':
      return open(state, caller, operation)
    case 'deposit': {
      const { account, amount } = operation
      return move(state, caller, { debit: EXTERNAL_ACCOUNT, credit: account, named: [account], amount })
    }
    case 'withdraw': {
      const { account, amount } = operation
      return move(state, caller, { debit: account, credit: EXTERNAL_ACCOUNT, named: [account], amount })
    }
    case 'transfer': {
      const { from, to, amount } = operation
      return move(state, caller, { debit: from, credit: to, named: [from, to], amount })
    }
    case 'balance':
      return balance(state, caller, operation.account)
    case 'history':
      return history(state, caller, operation)
    default:
      return assertNever(operation)
  }
}

export function refused(code: RefusalCode, detail: string | number | bigint): OperationResult {
  const text = String(detail)
  if (text.length <= REFUSAL_DETAIL_CHARACTERS_MAX)
    return { kind: 'refused', code, detail: text.toWellFormed() }
  return { kind: 'refused', code, detail: text.slice(0, REFUSAL_DETAIL_CHARACTERS_MAX).toWellFormed() }
}

type OpenOperation = Extract<SimpleOperation, { kind: 'open' }>

function open(state: RunState, caller: Caller, operation: OpenOperation): OperationResult {
  const { account, owner, customer } = operation
  if (!ACCOUNT_ID_PATTERN.test(account)) return refused('invalid-account-name', account)
  if (customer !== null) {
    if (!isText(customer.name) || customer.name === '') return refused('invalid-name', customer.name)
    if (customer.address !== null && !isText(customer.address))
      return refused('invalid-name', customer.address)
  }
  if (caller.role === 'replica') return refused('not-authorised', caller.id)
  if (owner !== caller.id && caller.role !== 'teller') return refused('not-authorised', owner)
  const principal = state.principal(owner)
  if (principal === undefined || principal.role === 'replica') return refused('unknown-owner', owner)
  if (state.account(account) !== undefined) return refused('account-exists', account)
  const born = { opened: state.seq, version: state.seq, entries: 0, newest: null }
  state.putAccount({ id: account, owner, balance: 0n, ...born })
  if (customer !== null) {
    state.putCustomer({ owner, name: customer.name, address: customer.address, version: state.seq })
  }
  return { kind: 'opened', account }
}

/** Text that every database keeps as it is: well-formed Unicode without control characters, Postgres' NUL included. */
const isText = (text: string): boolean =>
  text.length <= NAME_CHARACTERS_MAX && text.isWellFormed() && !/\p{Cc}/u.test(text)

type Movement = {
  readonly debit: AccountId
  readonly credit: AccountId
  /** The accounts that the client named; the other side, if any, is the external account. */
  readonly named: readonly AccountId[]
  readonly amount: bigint
}

function move(state: RunState, caller: Caller, movement: Movement): OperationResult {
  const { debit, credit, named, amount } = movement
  for (const account of named) {
    if (!ACCOUNT_ID_PATTERN.test(account)) return refused('invalid-account-name', account)
  }
  if (amount <= 0n || amount > MONEY_MAX) return refused('invalid-amount', amount)
  if (debit === credit) return refused('same-account', debit)
  const needsTeller = named.length === 1
  if (caller.role === 'replica' || (needsTeller && caller.role !== 'teller')) {
    return refused('not-authorised', caller.id)
  }
  const from = state.account(debit)
  if (from === undefined) return refused('unknown-account', debit)
  const to = state.account(credit)
  if (to === undefined) return refused('unknown-account', credit)
  if (from.owner !== caller.id && caller.role !== 'teller') return refused('not-authorised', debit)
  const debitBalance = from.balance - amount
  const creditBalance = to.balance + amount
  if (debit !== EXTERNAL_ACCOUNT && debitBalance < 0n) return refused('insufficient-funds', debit)
  if (debitBalance < -MONEY_MAX) return refused('balance-overflow', debit)
  if (creditBalance > MONEY_MAX) return refused('balance-overflow', credit)
  const id = state.transfer({ debit: from, credit: to, amount })
  return { kind: 'transferred', id, debitBalance, creditBalance }
}

/** Whether a row of that name can exist: only such names are ever looked up. */
export const isAccountName = (account: AccountId): boolean =>
  account === EXTERNAL_ACCOUNT || ACCOUNT_ID_PATTERN.test(account)

function balance(state: RunState, caller: Caller, account: AccountId): OperationResult {
  if (!isAccountName(account)) return refused('invalid-account-name', account)
  if (caller.role === 'replica') return refused('not-authorised', caller.id)
  const row = state.account(account)
  if (row === undefined) return refused('unknown-account', account)
  return { kind: 'balance', account, balance: row.balance, version: row.version }
}

type HistoryOperation = Extract<SimpleOperation, { kind: 'history' }>

/**
 * A page of whole seqs, newest first, so that `before: <last entry's seq>` goes on without a gap; an empty page is
 * the end. Only a seq with more than `limit` transfers of this account is cut: its newest ones are the page.
 */
function history(state: RunState, caller: Caller, operation: HistoryOperation): OperationResult {
  const { account, before, limit } = operation
  if (!isAccountName(account)) return refused('invalid-account-name', account)
  if (!isHistoryLimit(limit) || limit > caller.historyEntriesLeft) return refused('invalid-limit', limit)
  if (caller.role === 'replica') return refused('not-authorised', caller.id)
  if (state.account(account) === undefined) return refused('unknown-account', account)
  caller.historyEntriesLeft -= limit
  const found = state.history({ account, before, count: limit + 1 })
  const next = found[limit]
  if (next === undefined) return { kind: 'history', entries: found }
  const page = found.slice(0, limit)
  const whole = page.filter((entry) => entry.seq !== next.seq)
  return { kind: 'history', entries: whole.length > 0 ? whole : page }
}

export const isHistoryLimit = (limit: number): boolean =>
  Number.isInteger(limit) && limit >= 1 && limit <= HISTORY_ENTRIES_MAX
