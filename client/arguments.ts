import type { AccountId, Operation, SimpleOperation } from '../protocol/operations.ts'
import {
  ACCOUNT_ID_PATTERN,
  EXTERNAL_ACCOUNT,
  HISTORY_ENTRIES_MAX,
  LINKED_OPERATIONS_MAX,
  MONEY_MAX,
  NAME_CHARACTERS_MAX,
} from '../protocol/operations.ts'
import { assertNever, CLIENT_ID_MIN } from '../protocol/types.ts'
import { InvalidArgumentError } from './errors.ts'

/** Whole minor units: cents, where the currency has them. A number must be a safe integer. */
export type Amount = bigint | number

/** @throws InvalidArgumentError unless it is a whole number from 1 to MONEY_MAX. */
export function amountOf(amount: Amount): bigint {
  if (typeof amount !== 'bigint' && !Number.isInteger(amount)) {
    throw new InvalidArgumentError(`the amount ${amount} is not whole: amounts are whole minor units`)
  }
  if (typeof amount === 'number' && !Number.isSafeInteger(amount)) {
    throw new InvalidArgumentError(`the amount ${amount} is too large to be exact as a number: use a bigint`)
  }
  const units = BigInt(amount)
  if (units <= 0n) throw new InvalidArgumentError(`the amount ${units} is not positive`)
  if (units > MONEY_MAX) throw new InvalidArgumentError(`the amount ${units} is above ${MONEY_MAX}`)
  return units
}

/** @throws InvalidArgumentError */
export function accountOf(account: AccountId): AccountId {
  if (account === EXTERNAL_ACCOUNT || ACCOUNT_ID_PATTERN.test(account)) return account
  throw new InvalidArgumentError(
    `${JSON.stringify(account)} is no account name: 1 to 64 letters, digits, _ . : - that start with a letter or digit`,
  )
}

/**
 * Catches before anything is sent what every replica would refuse.
 * @throws InvalidArgumentError
 */
export function checkOperation(operation: Operation): void {
  switch (operation.kind) {
    case 'linked':
      return checkGroup(operation.operations)
    case 'lookup':
      throw new InvalidArgumentError('a lookup cannot be submitted among operations: call lookup(name)')
    case 'recover':
      throw new InvalidArgumentError('only a replica recovers')
    default:
      return checkSimple(operation)
  }
}

function checkGroup(operations: readonly SimpleOperation[]): void {
  if (operations.length === 0 || operations.length > LINKED_OPERATIONS_MAX) {
    throw new InvalidArgumentError(
      `a linked group has 1 to ${LINKED_OPERATIONS_MAX} operations, not ${operations.length}`,
    )
  }
  for (const operation of operations) checkSimple(operation)
}

function checkSimple(operation: SimpleOperation): void {
  switch (operation.kind) {
    case 'open':
      return checkOpen(operation)
    case 'deposit':
    case 'withdraw':
      accountOf(operation.account)
      amountOf(operation.amount)
      return
    case 'transfer':
      if (accountOf(operation.from) === accountOf(operation.to)) {
        throw new InvalidArgumentError(`a transfer from ${operation.from} to itself`)
      }
      amountOf(operation.amount)
      return
    case 'balance':
      accountOf(operation.account)
      return
    case 'history':
      accountOf(operation.account)
      checkWhole('limit', operation.limit, { min: 1, max: HISTORY_ENTRIES_MAX })
      if (operation.before !== null) {
        checkWhole('before', operation.before, { min: 0, max: Number.MAX_SAFE_INTEGER })
      }
      return
    default:
      return assertNever(operation)
  }
}

function checkOpen({ account, owner, customer }: SimpleOperation & { kind: 'open' }): void {
  accountOf(account)
  checkWhole('owner', owner, { min: CLIENT_ID_MIN, max: 2 ** 32 - 1 })
  if (customer === null) return
  checkText('name', customer.name)
  if (customer.address !== null) checkText('address', customer.address)
}

function checkWhole(what: string, value: number, { min, max }: { min: number; max: number }): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new InvalidArgumentError(`${what} must be a whole number from ${min} to ${max}, not ${value}`)
}

function checkText(what: string, text: string): void {
  if (text.length < 1 || text.length > NAME_CHARACTERS_MAX) {
    throw new InvalidArgumentError(
      `${what} must be 1 to ${NAME_CHARACTERS_MAX} characters, not ${text.length}`,
    )
  }
  // Replicas read no request with such a string.
  if (text.isWellFormed() && !text.startsWith('\ufeff')) return
  throw new InvalidArgumentError(
    `${what} must be Unicode text: no half surrogate pair, no byte order mark in front`,
  )
}
