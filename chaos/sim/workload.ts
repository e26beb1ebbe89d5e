import type { AccountId, Operation, SimpleOperation } from '../../protocol/operations.ts'
import { clientId, type PrincipalId } from '../../protocol/types.ts'
import { ACCOUNTS } from './genesis.ts'
import type { Random } from './random.ts'

export type Job =
  | { readonly kind: 'submit'; readonly operations: readonly Operation[] }
  | { readonly kind: 'read'; readonly accounts: readonly AccountId[] }

/** What a bank's customers do, over few accounts: contention, refusals, accounts that do not exist yet. */
export function drawJob(random: Random, client: PrincipalId): Job {
  if (random.chance(0.25)) {
    return { kind: 'read', accounts: Array.from({ length: random.int(1, 3) }, () => anAccount(random)) }
  }
  const operations = Array.from({ length: random.chance(0.8) ? 1 : random.int(2, 4) }, () =>
    random.chance(0.12)
      ? { kind: 'linked' as const, operations: [simple(random, client), simple(random, client)] }
      : simple(random, client),
  )
  return { kind: 'submit', operations }
}

function simple(random: Random, client: PrincipalId): SimpleOperation {
  const dice = random.float()
  if (dice < 0.5)
    return { kind: 'transfer', from: anAccount(random), to: anAccount(random), amount: amount(random) }
  if (dice < 0.65) return { kind: 'deposit', account: anAccount(random), amount: amount(random) }
  if (dice < 0.75) return { kind: 'withdraw', account: anAccount(random), amount: amount(random) }
  if (dice < 0.85) return { kind: 'balance', account: anAccount(random) }
  if (dice < 0.92)
    return { kind: 'history', account: anAccount(random), before: null, limit: random.int(1, 5) }
  return { kind: 'open', account: anAccount(random), owner: clientId(client), customer: null }
}

/** Some exist from genesis, some are opened on the way. */
function anAccount(random: Random): AccountId {
  return random.chance(0.85) ? random.pick(ACCOUNTS) : `new-${random.int(0, 9)}`
}

/** Now and then nothing or more than anybody has. */
const amount = (random: Random): bigint =>
  BigInt(random.chance(0.05) ? random.pick([0, 1_000_000]) : random.int(1, 40))

/** The accounts that a call's answer tells about. */
export function accountsOf(job: Job): readonly AccountId[] {
  if (job.kind === 'read') return job.accounts
  return job.operations.flatMap((operation) => accountsOfOperation(operation))
}

export function accountsOfOperation(operation: Operation): readonly AccountId[] {
  switch (operation.kind) {
    case 'transfer':
      return [operation.from, operation.to]
    case 'linked':
      return operation.operations.flatMap(accountsOfOperation)
    case 'lookup':
    case 'recover':
      return []
    default:
      return [operation.account]
  }
}
