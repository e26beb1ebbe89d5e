import type { Bank } from '../../client/client.ts'
import type { AccountId, SimpleOperation } from '../../protocol/operations.ts'
import { UsageError } from '../failure.ts'

/** A cluster that is there already gets only so many accounts more: they stay in it. */
const OPENED_MAX = 1_000
const FUNDS = 1_000n
const CHUNK = 50

/**
 * Accounts to work on: those of genesis, and `bench-1`, `bench-2`, ... beside them where these are few and the cluster
 * is somebody's. They stay, with their money, for the next time.
 * @throws UsageError when there are fewer than two
 */
export async function ensureAccounts(
  bank: Bank,
  args: { readonly existing: readonly AccountId[]; readonly wanted: number; readonly mayOpen: boolean },
): Promise<readonly AccountId[]> {
  const { existing, wanted, mayOpen } = args
  const missing = mayOpen ? Math.min(wanted, OPENED_MAX) - existing.length : 0
  const names = Array.from({ length: Math.max(0, missing) }, (_, i) => `bench-${i + 1}`)
  for (let at = 0; at < names.length; at += CHUNK) await openFunded(bank, names.slice(at, at + CHUNK))
  const accounts = [...existing.slice(0, wanted), ...names]
  if (accounts.length < 2)
    throw new UsageError('the cluster has fewer than two accounts, and none may be opened')
  return accounts
}

/** One that exists already is refused, and keeps what it has. */
async function openFunded(bank: Bank, names: readonly AccountId[]): Promise<void> {
  const opened = await bank.submit(
    names.map((account) => ({ kind: 'open', account, owner: bank.client, customer: null })),
  )
  const deposits = names.flatMap((account, i): SimpleOperation[] =>
    opened[i]?.kind === 'opened' ? [{ kind: 'deposit', account, amount: FUNDS }] : [],
  )
  if (deposits.length > 0) await bank.submit(deposits)
}
