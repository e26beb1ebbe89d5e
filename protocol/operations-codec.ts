import type { Customer, Operation, SimpleOperation } from './operations.ts'
import { LINKED_OPERATIONS_MAX } from './operations.ts'
import { MalformedError, Reader } from './reader.ts'
import type { PrincipalId, Seq, View } from './types.ts'
import { assertNever } from './types.ts'

/**
 * Operations as msgpack arrays, first field the kind. The decoder checks shapes and sizes only: whether an amount or
 * a name is acceptable is the state machine's deterministic verdict, so that a bad one gets a replicated answer.
 */
const KIND = {
  open: 1,
  deposit: 2,
  withdraw: 3,
  transfer: 4,
  balance: 5,
  history: 6,
  linked: 7,
  lookup: 8,
  recover: 9,
} as const

const STRING_CHARACTERS_MAX = 400
const UINT32_MAX = 2 ** 32 - 1

export function operationToFields(operation: Operation): unknown[] {
  switch (operation.kind) {
    case 'open': {
      const { account, owner, customer } = operation
      return [KIND.open, account, owner, customer === null ? null : [customer.name, customer.address]]
    }
    case 'deposit':
      return [KIND.deposit, operation.account, operation.amount]
    case 'withdraw':
      return [KIND.withdraw, operation.account, operation.amount]
    case 'transfer':
      return [KIND.transfer, operation.from, operation.to, operation.amount]
    case 'balance':
      return [KIND.balance, operation.account]
    case 'history':
      return [KIND.history, operation.account, operation.before, operation.limit]
    case 'linked':
      return [KIND.linked, operation.operations.map(operationToFields)]
    case 'lookup':
      return [KIND.lookup]
    case 'recover':
      return [KIND.recover, operation.view]
    default:
      return assertNever(operation)
  }
}

/** @throws MalformedError */
export function operationFromFields(value: unknown): Operation {
  const fields = Reader.of(value)
  const kind = fields.integer(255)
  if (kind === KIND.linked) {
    return ended(fields, { kind: 'linked', operations: fields.list(LINKED_OPERATIONS_MAX, simpleOperation) })
  }
  if (kind === KIND.lookup) return ended(fields, { kind: 'lookup' })
  if (kind === KIND.recover) return ended(fields, { kind: 'recover', view: fields.integer() as View })
  return simpleOperation(value)
}

/** `operation`, when nothing follows what was read of it. */
function ended<T>(fields: Reader, operation: T): T {
  if (fields.remaining > 0) throw new MalformedError('too many fields')
  return operation
}

function simpleOperation(value: unknown): SimpleOperation {
  const fields = Reader.of(value)
  return ended(fields, simpleFromFields(fields))
}

function simpleFromFields(fields: Reader): SimpleOperation {
  const text = () => fields.string(STRING_CHARACTERS_MAX)
  switch (fields.integer(255)) {
    case KIND.open:
      return {
        kind: 'open',
        account: text(),
        owner: fields.integer(UINT32_MAX) as PrincipalId,
        customer: fields.nullable(customerFromFields),
      }
    case KIND.deposit:
      return { kind: 'deposit', account: text(), amount: fields.bigint() }
    case KIND.withdraw:
      return { kind: 'withdraw', account: text(), amount: fields.bigint() }
    case KIND.transfer:
      return { kind: 'transfer', from: text(), to: text(), amount: fields.bigint() }
    case KIND.balance:
      return { kind: 'balance', account: text() }
    case KIND.history:
      return {
        kind: 'history',
        account: text(),
        before: fields.nullable((seq) => Reader.of([seq]).integer() as Seq),
        limit: fields.integer(UINT32_MAX),
      }
    default:
      throw new MalformedError('unknown operation')
  }
}

function customerFromFields(value: unknown): Customer {
  const fields = Reader.of(value, 2)
  const name = fields.string(STRING_CHARACTERS_MAX)
  return { name, address: fields.nullable((address) => Reader.of([address]).string(STRING_CHARACTERS_MAX)) }
}
