import type { AccountId, SimpleOperation } from '../../protocol/operations.ts'
import type { Random } from '../sim/random.ts'

export const WORKLOADS = ['transfer', 'mixed', 'read'] as const
export type Workload = (typeof WORKLOADS)[number]

/** In the mixed workload, of 100 operations. */
const MIXED_TRANSFERS = 50
const MIXED_DEPOSITS = 5
const MIXED_WITHDRAWALS = 5

/** Draws operations over `accounts`, of which there are at least two. Amounts are small, so that money lasts. */
export function drawOperation(
  workload: Workload,
  { random, accounts }: { readonly random: Random; readonly accounts: readonly AccountId[] },
): SimpleOperation {
  const account = random.pick(accounts)
  switch (workload) {
    case 'read':
      return { kind: 'balance', account }
    case 'transfer':
      return { kind: 'transfer', from: account, to: another(account, { random, accounts }), amount: 1n }
    case 'mixed': {
      const roll = random.int(0, 99)
      if (roll < MIXED_TRANSFERS) return drawOperation('transfer', { random, accounts })
      if (roll < MIXED_TRANSFERS + MIXED_DEPOSITS) return { kind: 'deposit', account, amount: 2n }
      if (roll < MIXED_TRANSFERS + MIXED_DEPOSITS + MIXED_WITHDRAWALS) {
        return { kind: 'withdraw', account, amount: 1n }
      }
      return drawOperation('read', { random, accounts })
    }
  }
}

function another(
  account: AccountId,
  { random, accounts }: { readonly random: Random; readonly accounts: readonly AccountId[] },
): AccountId {
  if (accounts.length < 2) throw new RangeError('a transfer takes two accounts')
  for (;;) {
    const other = random.pick(accounts)
    if (other !== account) return other
  }
}
