import type { Operation, SimpleOperation } from '../../../protocol/operations.ts'
import type { ReplicaId } from '../../../protocol/types.ts'
import { type ClientLiar, type ClientPart, instead, moved, pick, signed } from '../liar.ts'

/** Lookups and recoveries stand alone: what goes beside other operations is what stands in a request for operations. */
const isOrdinary = (operations: readonly Operation[]): boolean =>
  operations.every(({ kind }) => kind !== 'lookup' && kind !== 'recover')

const balanceOf = (account: string): SimpleOperation => ({ kind: 'balance', account })

/** [NC2] The number says which replica it was for: each holds a request that nobody else has. */
export function differentRequests(liar: ClientLiar): ClientPart {
  return instead((request, to) => {
    const { client, lane, number, operations } = request
    if (!isOrdinary(operations)) return [request]
    return [
      signed(liar, { client, lane, number: moved(number, to), operations: [marked(to), ...operations] }),
    ]
  })
}

/** [NC5] Both are authentic, and only one can be executed. */
export function twoBodies(liar: ClientLiar): ClientPart {
  return instead((request, to) => {
    const { client, lane, number, operations } = request
    if (to % 2 === 0 || !isOrdinary(operations)) return [request]
    return [signed(liar, { client, lane, number, operations: [marked(1), ...operations] })]
  })
}

const marked = (what: ReplicaId | number): SimpleOperation => balanceOf(`other-${what}`)

/** What it has no right to, in place of what it has. By the number alone, so that all replicas hear the same. */
export function otherAccounts(liar: ClientLiar): ClientPart {
  const { accounts, others } = liar
  return instead((request) => {
    const { client, lane, number, operations } = request
    if (!isOrdinary(operations)) return [request]
    const from = accounts[number % accounts.length]
    const to = accounts[(number + 1) % accounts.length]
    const owner = others[number % others.length]
    if (from === undefined || to === undefined || owner === undefined) return [request]
    const stolen: Operation[] = [
      { kind: 'transfer', from, to, amount: 1n },
      { kind: 'deposit', account: to, amount: 1_000n },
      { kind: 'withdraw', account: from, amount: 1n },
      { kind: 'open', account: `stolen-${number % 10}`, owner, customer: null },
      { kind: 'linked', operations: [balanceOf(to), { kind: 'transfer', from: to, to: from, amount: 1n }] },
    ]
    return [signed(liar, { client, lane, number, operations: stolen })]
  })
}

/** [AU3] In the name of whoever may do what it asks. */
export function impersonate(liar: ClientLiar): ClientPart {
  const { accounts, others, random } = liar
  return instead((request) => {
    const client = pick(others, random)
    const from = pick(accounts, random)
    const to = pick(accounts, random)
    if (client === undefined || from === undefined || to === undefined) return [request]
    const { lane, number } = request
    const operations: Operation[] = [{ kind: 'transfer', from, to, amount: 1n }]
    return [request, signed(liar, { client, lane, number, operations })]
  })
}
