import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../db/memory-store.ts'
import type { Operation, OperationResult } from '../../../protocol/operations.ts'
import { HISTORY_ENTRIES_MAX, MONEY_MAX } from '../../../protocol/operations.ts'
import { decodeResults } from '../../../protocol/results-codec.ts'
import { clientId, lane, principalId, requestNumber, seq, view } from '../../../protocol/types.ts'
import {
  ALICE,
  BOB,
  genesisOf,
  REPLICA,
  type RequestSpec,
  resultsOf,
  runOf,
  STRANGER,
  TELLER,
} from './fixture.ts'

/** A bank that executes one request per batch. */
function bank() {
  const store = new MemoryStore({ genesis: genesisOf() })
  store.connectSync()
  let number = 0
  const batch = (...specs: RequestSpec[]) => {
    const [done] = store.executeSync(runOf([specs], store.position.lastExecuted + 1), { durable: true })
    return done
  }
  const as = (client: number, ...operations: Operation[]): readonly OperationResult[] => {
    number += 1
    return resultsOf(batch({ client, number, operations }))
  }
  const refusal = (client: number, operation: Operation) => {
    const [result] = as(client, operation)
    return result?.kind === 'refused' ? result.code : result?.kind
  }
  return { store, batch, as, refusal }
}

const transfer = (from: string, to: string, amount: bigint) => ({
  kind: 'transfer' as const,
  from,
  to,
  amount,
})
const deposit = (account: string, amount: bigint) => ({ kind: 'deposit' as const, account, amount })
const withdraw = (account: string, amount: bigint) => ({ kind: 'withdraw' as const, account, amount })
const balance = (account: string) => ({ kind: 'balance' as const, account })
const open = (account: string, owner: number, name?: string) => ({
  kind: 'open' as const,
  account,
  owner: principalId(owner),
  customer: name === undefined ? null : { name, address: null },
})
const history = (account: string, before: number | null = null, limit = 10) => ({
  kind: 'history' as const,
  account,
  before: before === null ? null : seq(before),
  limit,
})

describe('operations', () => {
  test('results of earlier operations are visible to later ones, and a refusal does not stop them', () => {
    const { as } = bank()
    expect(as(ALICE, transfer('a', 'b', 30n), transfer('a', 'b', 500n), balance('a'), balance('b'))).toEqual([
      { kind: 'transferred', id: { seq: 1, index: 0 }, debitBalance: 70n, creditBalance: 80n },
      { kind: 'refused', code: 'insufficient-funds', detail: 'a' },
      { kind: 'balance', account: 'a', balance: 70n, version: 1 },
      { kind: 'balance', account: 'b', balance: 80n, version: 1 },
    ])
  })

  test('deposits and withdrawals move money from and to the external account', () => {
    const { as } = bank()
    expect(as(TELLER, deposit('c', 10n), withdraw('a', 100n), balance('@external'))).toEqual([
      { kind: 'transferred', id: { seq: 1, index: 0 }, debitBalance: -160n, creditBalance: 10n },
      { kind: 'transferred', id: { seq: 1, index: 1 }, debitBalance: 0n, creditBalance: -60n },
      { kind: 'balance', account: '@external', balance: -60n, version: 1 },
    ])
  })

  test('open makes an empty account and records the customer, who is replaced by a later open', () => {
    const { as, store } = bank()
    expect(as(ALICE, open('a2', ALICE, 'Alice B.'), balance('a2'))).toEqual([
      { kind: 'opened', account: 'a2' },
      { kind: 'balance', account: 'a2', balance: 0n, version: 1 },
    ])
    const row = store.allRows().customers.find(({ owner }) => owner === ALICE)
    expect(row).toEqual({ owner: ALICE, name: 'Alice B.', address: null, version: 1 })
  })

  test.each<[string, number, Operation]>([
    ['not-authorised', ALICE, transfer('b', 'a', 1n)],
    ['not-authorised', ALICE, deposit('a', 1n)],
    ['not-authorised', ALICE, withdraw('a', 1n)],
    ['not-authorised', ALICE, open('x', BOB)],
    ['not-authorised', REPLICA, balance('a')],
    ['not-authorised', REPLICA, history('a')],
    ['not-authorised', REPLICA, transfer('a', 'b', 1n)],
    ['transferred', TELLER, transfer('b', 'a', 1n)],
    ['opened', TELLER, open('x', BOB)],
    ['balance', ALICE, balance('b')],
    ['history', ALICE, history('b')],
    ['unknown-owner', TELLER, open('x', STRANGER)],
    ['unknown-owner', TELLER, open('x', REPLICA)],
    ['account-exists', ALICE, open('b', ALICE)],
    ['invalid-account-name', TELLER, open('@x', TELLER)],
    ['invalid-account-name', TELLER, transfer('@external', 'a', 1n)],
    ['invalid-account-name', TELLER, balance('no such\0name')],
    ['invalid-name', ALICE, open('x', ALICE, '')],
    ['invalid-name', ALICE, open('x', ALICE, 'nul\0')],
    ['invalid-name', ALICE, open('x', ALICE, '\ud800')],
    ['invalid-name', ALICE, open('x', ALICE, 'x'.repeat(201))],
    ['invalid-amount', ALICE, transfer('a', 'b', 0n)],
    ['invalid-amount', ALICE, transfer('a', 'b', -1n)],
    ['invalid-amount', ALICE, transfer('a', 'b', MONEY_MAX + 1n)],
    ['insufficient-funds', ALICE, transfer('a', 'b', MONEY_MAX)],
    ['insufficient-funds', ALICE, transfer('a', 'b', 101n)],
    ['same-account', ALICE, transfer('a', 'a', 1n)],
    ['unknown-account', ALICE, transfer('a', 'nobody', 1n)],
    ['unknown-account', ALICE, transfer('nobody', 'a', 1n)],
    ['unknown-account', ALICE, balance('nobody')],
    ['unknown-account', ALICE, history('nobody')],
    ['invalid-limit', ALICE, history('a', null, 0)],
    ['invalid-limit', ALICE, history('a', null, HISTORY_ENTRIES_MAX + 1)],
  ])('%s: client %i, %o', (expected, client, operation) => {
    expect(bank().refusal(client, operation)).toBe(expected)
  })

  test('refusals have one order: the operation itself, roles, existence, ownership, money', () => {
    const { refusal } = bank()
    expect(refusal(ALICE, transfer('bad name', 'bad name', 0n))).toBe('invalid-account-name')
    expect(refusal(ALICE, transfer('a', 'a', 0n))).toBe('invalid-amount')
    expect(refusal(REPLICA, transfer('a', 'a', 1n))).toBe('same-account')
    expect(refusal(ALICE, deposit('nobody', 1n))).toBe('not-authorised')
    expect(refusal(ALICE, transfer('b', 'nobody', 1n))).toBe('unknown-account')
    expect(refusal(ALICE, transfer('b', 'a', 1000n))).toBe('not-authorised')
  })

  test('near-2^63 deposits are refused by the model, so that Postgres never has to', () => {
    const { as } = bank()
    const [first, second, third] = as(
      TELLER,
      deposit('c', MONEY_MAX - 150n),
      deposit('c', MONEY_MAX),
      deposit('a', 1n),
    )
    expect(first).toMatchObject({ kind: 'transferred', debitBalance: -MONEY_MAX })
    expect(second).toMatchObject({ kind: 'refused', code: 'balance-overflow', detail: '@external' })
    expect(third).toMatchObject({ kind: 'refused', code: 'balance-overflow', detail: '@external' })
  })

  test('what is refused is named in at most 64 well-formed characters', () => {
    const [result] = bank().as(ALICE, balance(`${'x'.repeat(63)}😀${'y'.repeat(300)}`))
    expect(result).toEqual({
      kind: 'refused',
      code: 'invalid-account-name',
      detail: `${'x'.repeat(63)}\ufffd`,
    })
  })
})

describe('linked groups', () => {
  test('the first refusal undoes the group and names its cause; transfer indexes leave no gap', () => {
    const { as, store } = bank()
    const group = [transfer('a', 'b', 10n), open('new', ALICE, 'Nobody'), transfer('a', 'b', 1000n)]
    expect(
      as(ALICE, { kind: 'linked', operations: group }, balance('a'), balance('new'), transfer('a', 'b', 1n)),
    ).toEqual([
      { kind: 'refused', code: 'linked-aborted', detail: 'insufficient-funds', index: 2 },
      { kind: 'balance', account: 'a', balance: 100n, version: 0 },
      { kind: 'refused', code: 'unknown-account', detail: 'new' },
      { kind: 'transferred', id: { seq: 1, index: 0 }, debitBalance: 99n, creditBalance: 51n },
    ])
    expect(store.allRows().customers.find(({ owner }) => owner === ALICE)?.name).toBe('Alice')
  })

  test('a group that holds answers each of its operations', () => {
    const { as } = bank()
    expect(as(ALICE, { kind: 'linked', operations: [transfer('a', 'b', 10n), balance('b')] })).toEqual([
      {
        kind: 'linked',
        results: [
          { kind: 'transferred', id: { seq: 1, index: 0 }, debitBalance: 90n, creditBalance: 60n },
          { kind: 'balance', account: 'b', balance: 60n, version: 1 },
        ],
      },
    ])
  })
})

describe('history', () => {
  test('is newest first, sees the same batch, and pages by whole seqs', () => {
    const { as, batch } = bank()
    batch({ client: ALICE, number: 1, operations: [transfer('a', 'b', 1n), transfer('a', 'b', 2n)] })
    batch({ client: ALICE, number: 2, operations: [transfer('a', 'b', 3n), transfer('a', 'b', 4n)] })
    const page = (operation: Operation) => {
      const result = as(BOB, operation)[0]
      return result?.kind === 'history' ? result.entries.map(({ amount }) => amount) : result
    }
    expect(page(history('a'))).toEqual([4n, 3n, 2n, 1n])
    expect(page(history('a', null, 3))).toEqual([4n, 3n])
    expect(page(history('a', 2, 3))).toEqual([2n, 1n])
    expect(page(history('a', 1, 3))).toEqual([])
    // A seq larger than the page is the one case that is cut.
    expect(page(history('a', null, 1))).toEqual([4n])
    expect(as(TELLER, transfer('b', 'a', 9n), history('b', null, 1))[1]).toMatchObject({
      entries: [{ seq: 8, index: 0, debit: 'b', credit: 'a', amount: 9n }],
    })
  })

  test('the histories of one request share a budget', () => {
    const { as } = bank()
    const pages = Array.from({ length: 6 }, () => history('a', null, 100))
    expect(as(ALICE, ...pages).map(({ kind }) => kind)).toEqual([...Array(5).fill('history'), 'refused'])
  })
})

describe('client table', () => {
  const again = { client: ALICE, number: 7, operations: [transfer('a', 'b', 10n)] }

  test('[NC5] a number is executed once: the same or a lower one is skipped and leaves no lane entry', () => {
    const { batch, store } = bank()
    expect(batch(again)?.lanes).toHaveLength(1)
    expect(batch(again, { ...again, number: 6 })?.lanes).toEqual([])
    expect(batch({ ...again, lane: 1 })?.lanes).toHaveLength(1)
    expect(store.account('a')).toMatchObject({ balance: 80n, version: 3 })
  })

  test('[NC5] a batch may hold several requests of one lane', () => {
    const { batch } = bank()
    const done = batch(again, { ...again, number: 9 }, { ...again, number: 8 })
    expect(done?.lanes.map(({ number }) => number)).toEqual([7, 9])
    expect(resultsOf(done, 1)).toMatchObject([{ debitBalance: 80n, id: { index: 1 } }])
  })

  test('[NC5] lookup fences older numbers, returns the last real entry and keeps it', () => {
    const { batch, store } = bank()
    const real = batch(again)?.lanes[0]
    const lookup = (number: number) => batch({ client: ALICE, number, operations: [{ kind: 'lookup' }] })
    const { number, requestDigest, result } = real ?? {}
    const expected = [{ kind: 'lookup', entry: { number, requestDigest, result } }]
    expect(resultsOf(lookup(20))).toEqual(expected)
    const second = lookup(21)
    // After a restart the lane's reply is the latest lookup's, byte for byte.
    expect(store.connectSync().lanes).toEqual(second?.lanes)
    expect(resultsOf(second)).toEqual(expected)
    expect(batch({ ...again, number: 15 })?.lanes).toEqual([])
  })

  test('[NC5] lookup on an unused lane says so and fences it', () => {
    const { batch } = bank()
    const done = batch({ client: BOB, lane: 3, number: 5, operations: [{ kind: 'lookup' }] })
    expect(resultsOf(done)).toEqual([{ kind: 'lookup', entry: null }])
    expect(batch({ client: BOB, lane: 3, number: 5, operations: [balance('b')] })?.lanes).toEqual([])
  })

  test('strangers and lanes beyond the bound leave no row', () => {
    const { batch, store } = bank()
    expect(batch({ client: STRANGER, number: 1, operations: [balance('a')] })?.lanes).toEqual([])
    expect(batch({ client: ALICE, lane: 4, number: 1, operations: [balance('a')] })?.lanes).toEqual([])
    expect(store.clientRow(clientId(ALICE), lane(4))).toBeUndefined()
    expect(store.allRows().clients).toEqual([])
  })

  test('a lookup among other operations is refused and fences nothing', () => {
    const { batch, store } = bank()
    const done = batch({ client: ALICE, number: 1, operations: [{ kind: 'lookup' }, balance('a')] })
    expect(decodeResults(done?.lanes[0]?.result ?? new Uint8Array())).toMatchObject([
      { kind: 'refused', code: 'not-authorised' },
      { kind: 'balance' },
    ])
    expect(store.clientRow(clientId(ALICE), lane(0))).toMatchObject({
      real: { number: requestNumber(1) },
      lookup: null,
    })
  })
})

describe('[D5] recover', () => {
  const recover = (number: number, v: number, client = REPLICA): RequestSpec => ({
    client,
    number,
    operations: [{ kind: 'recover', view: view(v) }],
  })
  const principalOf = ({ store }: ReturnType<typeof bank>, id: number) => store.principal(principalId(id))

  test('sets what the replica votes under: its number, from the view on', () => {
    const made = bank()
    const before = principalOf(made, REPLICA)
    const done = made.batch(recover(700, 3))
    expect(resultsOf(done)).toEqual([{ kind: 'recovered', incarnation: 700, view: 3 }])
    expect(done?.incarnations).toEqual([{ replica: REPLICA, incarnation: 700, view: 3, seq: 1 }])
    const after = { ...before, incarnation: 700, incarnationView: 3, version: 1 }
    expect(principalOf(made, REPLICA)).toEqual(after)
  })

  test('[NC5] once for each number: again, or below it, it changes nothing', () => {
    const made = bank()
    made.batch(recover(700, 3))
    expect(made.batch(recover(700, 3))).toMatchObject({ lanes: [], incarnations: [] })
    expect(made.batch(recover(699, 9))).toMatchObject({ lanes: [], incarnations: [] })
    expect(principalOf(made, REPLICA)).toMatchObject({ incarnation: 700, incarnationView: 3 })
    expect(made.batch(recover(701, 4))?.incarnations).toHaveLength(1)
    expect(principalOf(made, REPLICA)).toMatchObject({ incarnation: 701, incarnationView: 4, version: 4 })
  })

  test('several in a batch, each seen by the next', () => {
    const made = bank()
    const done = made.batch(recover(1, 1), recover(2, 5), recover(9, 2, 1))
    expect(done?.incarnations.map(({ replica, incarnation }) => [replica, incarnation])).toEqual([
      [0, 1],
      [0, 2],
      [1, 9],
    ])
    expect(principalOf(made, 0)).toMatchObject({ incarnation: 2, incarnationView: 5 })
  })

  test('no client recovers', () => {
    const made = bank()
    for (const client of [ALICE, TELLER]) {
      const done = made.batch(recover(1, 1, client))
      expect(resultsOf(done)).toMatchObject([{ kind: 'refused', code: 'not-authorised' }])
      expect(done?.incarnations).toEqual([])
      expect(principalOf(made, client)).toMatchObject({ incarnation: 0, version: 0 })
    }
  })

  test('a replica executes nothing else, and it only alone', () => {
    const made = bank()
    const others: Operation[] = [
      { kind: 'lookup' },
      transfer('a', 'b', 1n),
      deposit('a', 1n),
      withdraw('a', 1n),
      open('z', ALICE),
      balance('a'),
      history('a'),
    ]
    for (const operation of others) expect(made.refusal(REPLICA, operation)).toBe('not-authorised')
    const [both] = made.as(REPLICA, { kind: 'recover', view: view(1) }, { kind: 'recover', view: view(2) })
    expect(both).toMatchObject({ kind: 'refused', code: 'not-authorised' })
    expect(principalOf(made, REPLICA)).toMatchObject({ incarnation: 0, version: 0 })
  })
})
