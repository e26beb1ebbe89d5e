import type { AccountId, Operation } from '../../protocol/operations.ts'
import { EXTERNAL_ACCOUNT } from '../../protocol/operations.ts'
import { assertNever } from '../../protocol/types.ts'
import type { BatchAt } from '../store.ts'
import { isAccountName, isHistoryLimit } from './operations.ts'
import type { HistoryQuery } from './run-state.ts'

/** What must be loaded before a run is applied. */
export type Touched = {
  readonly accounts: ReadonlySet<AccountId>
  /** One per account and `before`, with the largest count asked for. */
  readonly histories: ReadonlyMap<string, HistoryQuery>
}

export const historyKey = ({ account, before }: Omit<HistoryQuery, 'count'>): string =>
  `${account}/${before ?? ''}`

export function touchedBy(run: readonly BatchAt[]): Touched {
  const accounts = new Set<AccountId>()
  const histories = new Map<string, HistoryQuery>()
  const touch = (account: AccountId): void => {
    if (isAccountName(account)) accounts.add(account)
  }
  const visit = (operation: Operation): void => {
    switch (operation.kind) {
      case 'open':
      case 'balance':
        touch(operation.account)
        break
      case 'deposit':
      case 'withdraw':
        touch(operation.account)
        accounts.add(EXTERNAL_ACCOUNT)
        break
      case 'transfer':
        touch(operation.from)
        touch(operation.to)
        break
      case 'history': {
        const { account, before, limit } = operation
        touch(account)
        if (!isAccountName(account) || !isHistoryLimit(limit)) break
        const key = historyKey(operation)
        const count = Math.max(limit + 1, histories.get(key)?.count ?? 0)
        histories.set(key, { account, before, count })
        break
      }
      case 'linked':
        operation.operations.forEach(visit)
        break
      case 'lookup':
      case 'recover':
        break
      default:
        assertNever(operation)
    }
  }
  for (const { batch } of run) {
    for (const request of batch.requests) request.operations.forEach(visit)
  }
  return { accounts, histories }
}
