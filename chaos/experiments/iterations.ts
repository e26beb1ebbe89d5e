import type { AccountId, SimpleOperation } from '../../protocol/operations.ts'
import type { Random } from '../sim/random.ts'

/** What one iteration does: a quorum read of one balance, or one ordered write. */
export type Iteration =
  | { readonly kind: 'read'; readonly account: AccountId }
  | { readonly kind: 'write'; readonly operation: SimpleOperation }

/** More comes in than goes out, so that money lasts: a refusal would be an answer, but not a write. */
const DEPOSIT = 3n
const SMALL = 1n

/** Exactly half of them reads (of an odd number, one more is a write), in random order. */
export function drawIterations(
  count: number,
  { random, accounts }: { readonly random: Random; readonly accounts: readonly AccountId[] },
): Iteration[] {
  if (accounts.length < 2) throw new RangeError('a transfer takes two accounts')
  const reads = Math.floor(count / 2)
  const kinds = Array.from({ length: count }, (_, i) => (i < reads ? 'read' : 'write'))
  shuffle(kinds, random)
  return kinds.map((kind) =>
    kind === 'read' ? { kind, account: random.pick(accounts) } : { kind: 'write', operation: drawWrite() },
  )

  function drawWrite(): SimpleOperation {
    const account = random.pick(accounts)
    switch (random.int(0, 2)) {
      case 0:
        return { kind: 'deposit', account, amount: DEPOSIT }
      case 1:
        return { kind: 'withdraw', account, amount: SMALL }
      default:
        return { kind: 'transfer', from: account, to: otherThan(account), amount: SMALL }
    }
  }

  function otherThan(account: AccountId): AccountId {
    const other = accounts[(accounts.indexOf(account) + random.int(1, accounts.length - 1)) % accounts.length]
    if (other === undefined) throw new RangeError('a place among the accounts')
    return other
  }
}

/** Fisher and Yates: every order is as likely. */
function shuffle<T>(items: T[], random: Random): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.int(0, last)
    const [a, b] = [items[last], items[other]]
    if (a === undefined || b === undefined) throw new RangeError('a place in the array')
    items[last] = b
    items[other] = a
  }
}
