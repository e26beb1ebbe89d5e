import type { Operation } from '../protocol/operations.ts'
import { LINKED_OPERATIONS_MAX, MONEY_MAX } from '../protocol/operations.ts'
import { assertNever } from '../protocol/types.ts'
import { InvalidArgumentError } from './errors.ts'

/** What the codec's decoder takes; a request beyond it would be dropped by every replica, unanswered. */
const STRING_CHARACTERS_MAX = 400
const UINT32_MAX = 2 ** 32 - 1

/** An array's header and a kind; a number or an amount; a string's header. */
const HEAD_BYTES = 4
const NUMBER_BYTES = 9
const STRING_HEAD_BYTES = 5

/** A request body beside its operations. */
const BODY_OVERHEAD_BYTES = 32

/** The bank reads so many history entries for one request, and refuses the next `history` in it. */
export const REQUEST_HISTORY_ENTRIES_MAX = 500

/** What one request holds, or has room for. */
export type RequestSize = {
  readonly operations: number
  /** Of the encoded operations, at most. */
  readonly bytes: number
  readonly historyEntries: number
}

export const requestRoomOf = (config: {
  readonly requestOperationsMax: number
  readonly requestBytesMax: number
}): RequestSize => ({
  operations: config.requestOperationsMax,
  bytes: config.requestBytesMax - BODY_OVERHEAD_BYTES,
  historyEntries: REQUEST_HISTORY_ENTRIES_MAX,
})

export const sumOf = (a: RequestSize, b: RequestSize): RequestSize => ({
  operations: a.operations + b.operations,
  bytes: a.bytes + b.bytes,
  historyEntries: a.historyEntries + b.historyEntries,
})

export const fits = (size: RequestSize, room: RequestSize): boolean =>
  size.operations <= room.operations && size.bytes <= room.bytes && size.historyEntries <= room.historyEntries

/**
 * Whether an operation is acceptable is the bank's verdict, so that it is the same for everybody; only what cannot
 * travel at all is refused here.
 * @throws InvalidArgumentError when they do not fit one request
 */
export function sizeOf(operations: readonly Operation[], room: RequestSize): RequestSize {
  if (operations.length === 0) throw new InvalidArgumentError('no operations')
  if (operations.length > room.operations) {
    throw new InvalidArgumentError(
      `${operations.length} operations: one request takes at most ${room.operations}`,
    )
  }
  const bytes = operations.reduce((sum, operation) => sum + operationBytesMax(operation), 0)
  if (bytes > room.bytes) {
    throw new InvalidArgumentError(`${bytes} bytes of operations: one request takes at most ${room.bytes}`)
  }
  return { operations: operations.length, bytes, historyEntries: historyEntriesOf(operations) }
}

function historyEntriesOf(operations: readonly Operation[]): number {
  let entries = 0
  for (const operation of operations) {
    if (operation.kind === 'history') entries += operation.limit
    if (operation.kind === 'linked') entries += historyEntriesOf(operation.operations)
  }
  return entries
}

function operationBytesMax(operation: Operation): number {
  switch (operation.kind) {
    case 'open': {
      const { customer, owner } = operation
      const address = customer === null || customer.address === null ? 1 : textBytes(customer.address)
      const customerBytes = customer === null ? 1 : HEAD_BYTES + textBytes(customer.name) + address
      return HEAD_BYTES + textBytes(operation.account) + integerBytes(owner, UINT32_MAX) + customerBytes
    }
    case 'deposit':
    case 'withdraw':
      return HEAD_BYTES + textBytes(operation.account) + amountBytes(operation.amount)
    case 'transfer':
      return HEAD_BYTES + textBytes(operation.from) + textBytes(operation.to) + amountBytes(operation.amount)
    case 'balance':
      return HEAD_BYTES + textBytes(operation.account)
    case 'history': {
      const before = operation.before === null ? 1 : integerBytes(operation.before, Number.MAX_SAFE_INTEGER)
      return HEAD_BYTES + textBytes(operation.account) + before + integerBytes(operation.limit, UINT32_MAX)
    }
    case 'linked': {
      const { operations } = operation
      if (operations.length > LINKED_OPERATIONS_MAX) {
        throw new InvalidArgumentError(`a linked group has at most ${LINKED_OPERATIONS_MAX} operations`)
      }
      return operations.reduce((sum, inner) => sum + operationBytesMax(inner), 2 * HEAD_BYTES)
    }
    case 'lookup':
      throw new InvalidArgumentError('a lookup cannot be submitted among operations: call lookup(name)')
    case 'recover':
      throw new InvalidArgumentError('only a replica recovers')
    default:
      return assertNever(operation)
  }
}

function textBytes(text: string): number {
  if (text.length > STRING_CHARACTERS_MAX) {
    throw new InvalidArgumentError(`longer than ${STRING_CHARACTERS_MAX} characters: ${text.slice(0, 40)}...`)
  }
  return STRING_HEAD_BYTES + Buffer.byteLength(text, 'utf8')
}

function amountBytes(amount: bigint): number {
  if (amount > MONEY_MAX || amount < -MONEY_MAX) {
    throw new InvalidArgumentError(`the amount ${amount} is beyond ${MONEY_MAX}`)
  }
  return NUMBER_BYTES
}

function integerBytes(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new InvalidArgumentError(`${value} is not a whole number from 0 to ${max}`)
  }
  return NUMBER_BYTES
}
