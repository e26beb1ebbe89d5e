import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { TableName, Tables } from '../../db/columns.ts'
import { MemoryStore } from '../../db/memory-store.ts'
import { DatabaseSnapshot } from '../../db/postgres/snapshot.ts'
import type { Store } from '../../db/store.ts'
import type { Operation, TransferId } from '../../protocol/operations.ts'
import { MONEY_MAX } from '../../protocol/operations.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { seq } from '../../protocol/types.ts'
import {
  ALICE,
  BOB,
  cutIntoRuns,
  genesisOf,
  historyArb,
  resultsOf,
  runOf,
  TELLER,
} from '../unit/db/fixture.ts'
import { type ScratchPostgres, scratchPostgres, storeOn } from '../unit/db/scratch-postgres.ts'

const genesis = genesisOf()
const relaxed = { durable: false }

let server: ScratchPostgres
let opened: Store[] = []

/** A database, and any number of processes in turn that use it. */
type Bench = { open(): Store }

const memory = async (): Promise<Bench> => {
  const store = new MemoryStore({ genesis })
  return { open: () => store }
}

const postgres = async (): Promise<Bench> => {
  const { url } = await server.database()
  return {
    open() {
      const store = storeOn(url)
      opened.push(store)
      return store
    },
  }
}

beforeAll(async () => {
  server = await scratchPostgres()
})
afterEach(async () => {
  await Promise.all(opened.map((store) => store.close()))
  opened = []
})
afterAll(() => server.stop())

const transfer = (amount: bigint): Operation => ({ kind: 'transfer', from: 'a', to: 'b', amount })
const pay = (number: number, amount = 1n) => ({ client: ALICE, number, operations: [transfer(amount)] })

describe.each([
  ['memory', memory],
  ['postgres', postgres],
])('%s store', (_, bench) => {
  test('starts at genesis, with no lanes', async () => {
    const store = (await bench()).open()
    expect(await store.connect()).toEqual({
      lastExecuted: 0,
      chain: genesis.digest,
      lanes: [],
      incarnations: [],
    })
    expect(await store.read(['a', '@external'])).toEqual({
      lastExecuted: 0,
      values: [
        { account: 'a', balance: 100n, version: 0 },
        { account: '@external', balance: -150n, version: 0 },
      ],
    })
  })

  test('[D3] executes runs and is found again where it was', async () => {
    const database = await bench()
    const store = database.open()
    await store.connect()
    const executed = await store.execute(runOf([[pay(1)], [], [pay(2), pay(2)]]), relaxed)
    expect(executed.map(({ seq, lanes }) => [seq, lanes.length])).toEqual([
      [1, 1],
      [2, 0],
      [3, 1],
    ])
    await store.close()
    const { lastExecuted, chain, lanes } = await database.open().connect()
    expect({ lastExecuted, chain }).toEqual({ lastExecuted: 3, chain: executed[2]?.chain })
    expect(lanes).toEqual(executed[2]?.lanes)
  })

  test('[NC7] reads one snapshot, in the order asked; an absent row has version 0', async () => {
    const store = (await bench()).open()
    await store.connect()
    await store.execute(runOf([[pay(1, 30n)]]), relaxed)
    const a = { account: 'a', balance: 70n, version: 1 }
    const b = { account: 'b', balance: 80n, version: 1 }
    const none = { account: 'nobody', balance: null, version: 0 }
    const bad = { account: 'bad\0name', balance: null, version: 0 }
    expect(await store.read(['b', 'nobody', 'a', 'bad\0name', 'b'])).toEqual({
      lastExecuted: 1,
      values: [b, none, a, bad, b],
    })
    expect(await store.read([])).toEqual({ lastExecuted: 1, values: [] })
    const many = await Promise.all(['a', 'b', 'nobody', 'a'].map((account) => store.read([account])))
    expect(many.map(({ values }) => values[0])).toEqual([a, b, none, a])
  })

  test('[NC9] keeps one chain row per seq', async () => {
    const store = (await bench()).open()
    await store.connect()
    const run = [...runOf([[pay(1)]]), { seq: seq(2), batch: NULL_BATCH }]
    const executed = await store.execute(run, relaxed)
    expect(await store.chainAt(seq(1))).toMatchObject({ seq: 1, chain: executed[0]?.chain })
    expect(await store.chainAt(seq(2))).toMatchObject({
      batchDigest: NULL_BATCH.digest,
      chain: executed[1]?.chain,
    })
    expect(await store.chainAt(seq(3))).toBeUndefined()
  })

  test('[NC5] a batch ordered twice is executed once', async () => {
    const database = await bench()
    const store = database.open()
    await store.connect()
    await store.execute(runOf([[pay(5, 10n)]]), relaxed)
    await store.execute(runOf([[pay(5, 10n), pay(4, 10n)]], 2), relaxed)
    await store.close()
    const again = database.open()
    await again.connect()
    await again.execute(runOf([[pay(5, 10n)]], 3), relaxed)
    expect((await again.read(['a'])).values).toEqual([{ account: 'a', balance: 90n, version: 1 }])
  })

  test('[NC5] a lookup survives a restart, and so does what it found', async () => {
    const database = await bench()
    const lookup = (number: number) => ({ client: ALICE, number, operations: [{ kind: 'lookup' as const }] })
    const store = database.open()
    await store.connect()
    const executed = await store.execute(
      runOf([[pay(1)], [lookup(2)], [{ ...lookup(1), client: BOB }]]),
      relaxed,
    )
    await store.close()
    const again = database.open()
    const { lanes } = await again.connect()
    expect(
      lanes.map(({ client, number, result }) => [client, number, Buffer.from(result).toString('hex')]),
    ).toEqual(
      executed.slice(1).map(({ lanes: [entry] }) => {
        return [entry?.client, entry?.number, Buffer.from(entry?.result ?? []).toString('hex')]
      }),
    )
    const [done] = await again.execute(runOf([[lookup(3)]], 4), relaxed)
    expect(resultsOf(done)).toMatchObject([{ kind: 'lookup', entry: { number: 1 } }])
  })

  test('holds money up to 2^63 - 1 on both sides, and refuses beyond', async () => {
    const store = (await bench()).open()
    await store.connect()
    const deposit = (amount: bigint): Operation => ({ kind: 'deposit', account: 'c', amount })
    const operations = [deposit(MONEY_MAX - 150n), deposit(MONEY_MAX - 1n), deposit(1n)]
    const [done] = await store.execute(runOf([[{ client: TELLER, number: 1, operations }]]), relaxed)
    expect(resultsOf(done).map(({ kind }) => kind)).toEqual(['transferred', 'refused', 'refused'])
    expect((await store.read(['c', '@external'])).values.map(({ balance }) => balance)).toEqual([
      MONEY_MAX - 150n,
      -MONEY_MAX,
    ])
  })

  test('pages through a history that spans runs', async () => {
    const store = (await bench()).open()
    await store.connect()
    await store.execute(runOf([[pay(1, 1n), pay(2, 2n)], [pay(3, 3n)]]), relaxed)
    const page = (before: number | null, limit: number): Operation => {
      return { kind: 'history', account: 'b', before: before === null ? null : seq(before), limit }
    }
    const operations = [transfer(4n), page(null, 10), page(null, 2), page(2, 2), page(1, 2), page(3, 2)]
    const [done] = await store.execute(runOf([[{ client: ALICE, number: 4, operations }]], 3), relaxed)
    const pages = resultsOf(done).flatMap((result) =>
      result.kind === 'history' ? [result.entries.map(({ amount }) => amount)] : [],
    )
    expect(pages).toEqual([[4n, 3n, 2n, 1n], [4n, 3n], [2n, 1n], [], [3n]])
  })

  test('pages through any depth of a long history, from any seq', async () => {
    const store = (await bench()).open()
    await store.connect()
    const reference: TransferId[] = []
    // A seq has 0 to 6 entries of `b`, now as the credited account and now as the debited one, among those of others.
    const operationsAt = (at: number): Operation[] => [
      ...Array.from({ length: at % 7 }, (_, i): Operation => {
        const [from, to] = (at + i) % 2 === 0 ? ['a', 'b'] : ['b', 'a']
        return { kind: 'transfer', from, to, amount: 1n }
      }),
      { kind: 'deposit', account: 'c', amount: 1n },
    ]
    for (let at = 1; at <= 60; at++) {
      await store.execute(
        runOf([[{ client: TELLER, number: at, operations: operationsAt(at) }]], at),
        relaxed,
      )
      for (let index = 0; index < at % 7; index++) reference.unshift({ seq: seq(at), index })
    }
    const befores = Array.from({ length: 63 }, (_, at) => seq(at))
    const pages = befores.map((before): Operation => ({ kind: 'history', account: 'b', before, limit: 7 }))
    const [done] = await store.execute(
      runOf([[{ client: TELLER, number: 61, operations: pages }]], 61),
      relaxed,
    )
    const found = resultsOf(done).map((result) => (result.kind === 'history' ? result.entries : result))
    expect(
      found.map((page) => Array.isArray(page) && page.map(({ seq, index }) => ({ seq, index }))),
    ).toEqual(
      befores.map((before) => {
        const below = reference.filter((entry) => entry.seq < before)
        const page = below.slice(0, 7)
        return below.length > 7 ? page.filter((entry) => entry.seq !== below[7]?.seq) : page
      }),
    )
  })

  test('[D3] a run that is not the next, has a gap, or crosses a checkpoint is this process own fault', async () => {
    const store = (await bench()).open()
    await store.connect()
    const null16 = Array.from({ length: 17 }, () => [])
    await expect(store.execute(runOf([[pay(1)]], 2), relaxed)).rejects.toMatchObject({ code: 'broken' })
    await expect(store.execute([...runOf([[]]), ...runOf([[]], 3)], relaxed)).rejects.toMatchObject({
      code: 'broken',
    })
    await expect(store.execute(runOf(null16), relaxed)).rejects.toMatchObject({ code: 'broken' })
    expect(await store.execute([], relaxed)).toEqual([])
    expect(await store.execute(runOf(null16.slice(1)), { durable: true })).toHaveLength(16)
  })

  test('is unavailable before connect and after close', async () => {
    const store = (await bench()).open()
    await expect(store.read(['a'])).rejects.toMatchObject({ code: 'unavailable' })
    await store.connect()
    await store.close()
    await expect(store.execute(runOf([[]]), relaxed)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(store.chainAt(seq(1))).rejects.toMatchObject({ code: 'unavailable' })
    await store.close()
  })
})

test('[NC9] both stores give the same replies, chain and rows for any history', async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, fc.array(fc.boolean(), { minLength: 1 }), async (history, cuts) => {
      const reference = new MemoryStore({ genesis })
      reference.connectSync()
      const { url } = await server.database()
      const store = storeOn(url)
      await store.connect()
      try {
        for (const run of cutIntoRuns(history, cuts, genesis.parameters.checkpointInterval)) {
          const durable = run.length % 2 === 0
          const executed = await store.execute(run, { durable })
          expect(executed).toEqual(reference.executeSync(run, { durable }))
          // A new process knows no more than the rows.
          if (cuts[run.length % cuts.length]) await store.connect()
        }
      } finally {
        await store.close()
      }
      const { clients, ...tables } = reference.allRows()
      expect(await allRows(url)).toEqual({ ...tables, client_table: clients })
    }),
    { numRuns: 15 },
  )
})

async function allRows(url: string) {
  const snapshot = await DatabaseSnapshot.open(url)
  const rows = async <T extends TableName>(table: T): Promise<Tables[T][]> => {
    const all: Tables[T][] = []
    for await (const row of snapshot.rows(table, snapshot.position.lastExecuted)) all.push(row)
    return all
  }
  try {
    return {
      accounts: await rows('accounts'),
      transfers: await rows('transfers'),
      chain: await rows('chain'),
      customers: await rows('customers'),
      principals: await rows('principals'),
      client_table: await rows('client_table'),
    }
  } finally {
    await snapshot.close()
  }
}
