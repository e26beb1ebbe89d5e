import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TableName, Tables } from '../../db/columns.ts'
import { firstDifference } from '../../db/compare.ts'
import { MemoryStore } from '../../db/memory-store.ts'
import { DatabaseSnapshot } from '../../db/postgres/snapshot.ts'
import { stateDigest } from '../../db/state-digest.ts'
import { seq } from '../../protocol/types.ts'
import { ALICE, genesisOf, historyArb, type RequestSpec, runOf } from '../unit/db/fixture.ts'
import { type ScratchPostgres, type Sql, scratchPostgres, storeOn } from '../unit/db/scratch-postgres.ts'

const relaxed = { durable: false }
const genesis = genesisOf()
const pay = (number: number, amount = 1n): RequestSpec => {
  return { client: ALICE, number, operations: [{ kind: 'transfer', from: 'a', to: 'b', amount }] }
}

let server: ScratchPostgres
beforeAll(async () => {
  server = await scratchPostgres()
})
afterAll(() => server.stop())

async function rowsOf<T extends TableName>(
  snapshot: DatabaseSnapshot,
  table: T,
  at: number,
): Promise<Tables[T][]> {
  const rows: Tables[T][] = []
  for await (const row of snapshot.rows(table, at)) rows.push(row)
  return rows
}

/** A database that executed `batches`, one each. */
async function databaseAfter(
  batches: readonly (readonly RequestSpec[])[],
): Promise<{ url: string; sql: Sql }> {
  const database = await server.database()
  const store = storeOn(database.url)
  await store.connect()
  for (const at of runOf(batches)) await store.execute([at], relaxed)
  await store.close()
  return database
}

async function compared(urls: readonly [string, string]) {
  const [a, b] = await Promise.all([DatabaseSnapshot.open(urls[0]), DatabaseSnapshot.open(urls[1])])
  try {
    const common = seq(Math.min(a.position.lastExecuted, b.position.lastExecuted))
    const [digestA, digestB] = await Promise.all([stateDigest(a, common), stateDigest(b, common)])
    return { common, sameDigest: digestA === digestB, difference: await firstDifference(a, b, common) }
  } finally {
    await Promise.all([a.close(), b.close()])
  }
}

test('rows at an earlier seq are what they were then', async () => {
  await fc.assert(
    fc.asyncProperty(historyArb, async (history) => {
      const { url } = await server.database()
      const store = storeOn(url)
      await store.connect()
      for (const at of history) await store.execute([at], relaxed)
      await store.close()
      const reference = new MemoryStore({ genesis })
      reference.connectSync()
      const snapshot = await DatabaseSnapshot.open(url)
      try {
        for (const at of [undefined, ...history]) {
          if (at !== undefined) reference.executeSync([at], relaxed)
          const then = at?.seq ?? 0
          const { accounts, transfers, chain } = reference.allRows()
          expect(await rowsOf(snapshot, 'accounts', then)).toEqual(accounts)
          expect(await rowsOf(snapshot, 'transfers', then)).toEqual(transfers)
          expect(await rowsOf(snapshot, 'chain', then)).toEqual(chain)
        }
      } finally {
        await snapshot.close()
      }
    }),
    { numRuns: 8 },
  )
})

test('a snapshot stands still while the replica goes on, and takes nothing from it', async () => {
  const { url } = await server.database()
  const store = storeOn(url)
  await store.connect()
  await store.execute(runOf([[pay(1)]]), relaxed)
  const snapshot = await DatabaseSnapshot.open(url)
  const chain = await store.execute(runOf([[pay(2, 5n)]], 2), relaxed)
  expect(snapshot.position.lastExecuted).toBe(1)
  expect(snapshot.replica).toBe(0)
  expect(snapshot.genesisDigest).toBe(genesis.digest)
  expect((await rowsOf(snapshot, 'accounts', 1)).map(({ balance }) => balance)).toEqual([-150n, 99n, 51n, 0n])
  await expect(rowsOf(snapshot, 'accounts', 2)).rejects.toThrow(RangeError)
  await snapshot.close()
  const later = await DatabaseSnapshot.open(url)
  expect(later.position).toEqual({ lastExecuted: 2, chain: chain[0]?.chain })
  await later.close()
  await store.close()
})

test('rows come in pages', async () => {
  const operations = Array.from({ length: 2_500 }, () => ({
    kind: 'transfer' as const,
    from: 'a',
    to: 'b',
    amount: 1n,
  }))
  const back = operations.map(() => ({ kind: 'transfer' as const, from: 'b', to: 'a', amount: 1n }))
  const mixed = operations.flatMap((operation, i) => [operation, ...back.slice(i, i + 1)])
  const { url } = await databaseAfter([[{ client: 1000, number: 1, operations: mixed }]])
  const snapshot = await DatabaseSnapshot.open(url)
  const rows = await rowsOf(snapshot, 'transfers', 1)
  expect(rows.map(({ index }) => index)).toEqual(Array.from({ length: 5_000 }, (_, i) => i))
  await snapshot.close()
})

describe('comparing two databases', () => {
  const early = [[pay(1)], [pay(2, 7n)]]
  const late = [...early, [pay(3, 20n)], []]

  test('one of them behind: equal at the common seq', async () => {
    const [a, b] = [await databaseAfter(early), await databaseAfter(late)]
    expect(await compared([a.url, b.url])).toEqual({ common: 2, sameDigest: true, difference: undefined })
  })

  test.each([
    ['accounts', `update accounts set balance = balance + 1 where id = 'b'`, 'b', 'balance', ['58', '59']],
    ['accounts', `update accounts set owner = 1002 where id = 'a'`, 'a', 'owner', ['1001', '1002']],
    ['accounts', `delete from accounts where id = 'c'`, 'c', null, [expect.stringContaining('id=c'), null]],
    [
      'accounts',
      `insert into accounts values ('z', 1001, 0, 0, 0, 0, 0, 0)`,
      'z',
      null,
      [null, expect.anything()],
    ],
    ['transfers', `update transfers set credit = 'c' where seq = 1`, '1/0', 'credit', ['b', 'c']],
    [
      'chain',
      `update chain set chain = batch_digest where seq = 2`,
      '2',
      'chain',
      [expect.anything(), expect.anything()],
    ],
  ])('%s: %s is found and named, even where one is behind', async (table, tamper, key, column, values) => {
    const [a, b] = [await databaseAfter(early), await databaseAfter(late)]
    await b.sql(tamper)
    const { sameDigest, difference } = await compared([a.url, b.url])
    expect(difference).toEqual({ table, key, column, values })
    expect(sameDigest).toBe(false)
  })

  test.each([
    ['customers', `update customers set address = null where owner = 1001`, '1001', 'address'],
    ['principals', `update principals set role = 'teller' where id = 1002`, '1002', 'role'],
    ['client_table', `update client_table set result = '\\x00'`, '1001/0', 'result'],
  ])('%s: %s is found where nobody changed the row since', async (table, tamper, key, column) => {
    const [a, b] = [await databaseAfter(early), await databaseAfter(early)]
    await b.sql(tamper)
    expect((await compared([a.url, b.url])).difference).toMatchObject({ table, key, column })
  })

  test('a lane that moved on is not taken for a difference', async () => {
    const [a, b] = [await databaseAfter(early), await databaseAfter([...early, [pay(9)]])]
    expect((await compared([a.url, b.url])).difference).toBeUndefined()
  })
})

test('a database without a ledger is foreign', async () => {
  const { url } = await server.database()
  await expect(DatabaseSnapshot.open(url)).rejects.toMatchObject({ code: 'foreign' })
})
