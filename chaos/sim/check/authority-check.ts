import type { MemoryStore } from '../../../db/memory-store.ts'
import type { Genesis } from '../../../protocol/config.ts'
import type { Batch, Request } from '../../../protocol/messages.ts'
import { EXTERNAL_ACCOUNT, type Operation, type SimpleOperation } from '../../../protocol/operations.ts'
import type { PrincipalId } from '../../../protocol/types.ts'
import { requestClaim } from '../../../replica/core/request-rules.ts'
import { verifyAll } from '../core-crypto.ts'
import type { Cast } from '../genesis.ts'
import { Violation } from '../violation.ts'

type AccountState = { readonly owner: PrincipalId | null; readonly balance: bigint }
type Accounts = ReadonlyMap<string, AccountState>

/**
 * What was executed was signed by whom it is said to come from [AU3], money left an account only at its owner's or a
 * teller's word, and accounts belong to whoever opened them, unless a teller did. It shares no code with the bank.
 */
export class AuthorityCheck {
  readonly #tellers: ReadonlySet<number>
  readonly #isSigned: (request: Request) => boolean
  #accounts: Accounts = new Map()

  constructor(genesis: Genesis, isSigned: (request: Request) => boolean) {
    this.#tellers = new Set(genesis.clients.filter(({ role }) => role === 'teller').map(({ id }) => id))
    this.#isSigned = isSigned
  }

  /** Before the first batch. */
  begin(model: MemoryStore): void {
    this.#accounts = accountsOf(model)
  }

  /** `batch` was executed at `seq`, once by every replica; `model` has executed it, too. @throws Violation */
  onExecuted(seq: number, batch: Batch, model: MemoryStore): void {
    const forged = batch.requests.find((request) => !this.#isSigned(request))
    if (forged !== undefined) {
      const { client, lane, number } = forged
      throw new Violation(
        'authority',
        `request ${client}/${lane}/${number} was executed at seq ${seq}, and ${client} did not sign it`,
      )
    }
    const before = this.#accounts
    const after = accountsOf(model)
    this.#accounts = after
    for (const [account, { owner, balance }] of after) {
      const was = before.get(account)
      if (was === undefined) this.#onOpened(seq, { account, owner, batch })
      if (account === EXTERNAL_ACCOUNT) continue
      const left = (was?.balance ?? 0n) - balance
      if (left > this.#spendable({ account, owner, batch })) {
        throw new Violation(
          'authority',
          `seq ${seq} took ${left} from ${account}, for which neither its owner ${owner} nor a teller asked`,
        )
      }
    }
  }

  #onOpened(
    seq: number,
    {
      account,
      owner,
      batch,
    }: { readonly account: string; readonly owner: PrincipalId | null; readonly batch: Batch },
  ): void {
    const isAsked = batch.requests.some(
      ({ client, operations }) =>
        (client === owner || this.#tellers.has(client)) &&
        operations.flatMap(simpleOf).some((one) => one.kind === 'open' && one.account === account),
    )
    if (isAsked) return
    throw new Violation('authority', `seq ${seq} opened ${account} for ${owner}, who did not ask for it`)
  }

  /** What those who may asked to be taken from it. */
  #spendable({
    account,
    owner,
    batch,
  }: {
    readonly account: string
    readonly owner: PrincipalId | null
    readonly batch: Batch
  }): bigint {
    return batch.requests
      .filter(({ client }) => client === owner || this.#tellers.has(client))
      .flatMap(({ operations }) => operations.flatMap(simpleOf))
      .reduce((sum, operation) => sum + takenFrom(account, operation), 0n)
  }
}

/** By the keys of `cast`. */
export const authorityOf = (cast: Cast): AuthorityCheck =>
  new AuthorityCheck(cast.genesis, (request) =>
    verifyAll(cast, [requestClaim(request)]).every((valid) => valid),
  )

const simpleOf = (operation: Operation): readonly SimpleOperation[] => {
  if (operation.kind === 'linked') return operation.operations
  return operation.kind === 'lookup' || operation.kind === 'recover' ? [] : [operation]
}

function takenFrom(account: string, operation: SimpleOperation): bigint {
  if (operation.kind === 'withdraw' && operation.account === account) return operation.amount
  return operation.kind === 'transfer' && operation.from === account && operation.amount > 0n
    ? operation.amount
    : 0n
}

const accountsOf = (model: MemoryStore): Accounts =>
  new Map(model.allRows().accounts.map(({ id, owner, balance }) => [id, { owner, balance }]))
