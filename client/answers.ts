import type { AccountId, Operation, OperationResult, ReadValue } from '../protocol/operations.ts'
import { seq } from '../protocol/types.ts'
import type { Answer, Travelled } from './effects.ts'

/** Undefined unless there is one result for each operation. */
export function resultsAnswer(
  operations: readonly Operation[],
  { results, travelled }: { readonly results: readonly OperationResult[]; readonly travelled: Travelled },
): Answer | undefined {
  return results.length === operations.length ? { kind: 'results', results, travelled } : undefined
}

/** A read that goes the ordered way [NC7]. */
export const balanceOperations = (accounts: readonly AccountId[]): Operation[] =>
  accounts.map((account) => ({ kind: 'balance', account }))

/** Answers to `balance` operations in the form of a quorum read; undefined when they are none. */
export function valuesAnswer(
  operations: readonly Operation[],
  { results, travelled }: { readonly results: readonly OperationResult[]; readonly travelled: Travelled },
): Answer | undefined {
  const values = operations.map((operation, index) => readValueOf(operation, results[index]))
  return values.every((value) => value !== undefined) ? { kind: 'values', values, travelled } : undefined
}

function readValueOf(operation: Operation, result: OperationResult | undefined): ReadValue | undefined {
  if (operation.kind !== 'balance' || result === undefined) return undefined
  const { account } = operation
  if (result.kind === 'balance') return { account, balance: result.balance, version: result.version }
  const absent =
    result.kind === 'refused' && (result.code === 'unknown-account' || result.code === 'invalid-account-name')
  return absent ? { account, balance: null, version: seq(0) } : undefined
}
