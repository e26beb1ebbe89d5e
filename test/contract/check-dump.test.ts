import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { check } from '../../chaos/check/check.ts'
import { compareDatabases, type DatabaseView } from '../../chaos/check/compare-databases.ts'
import { rowText } from '../../chaos/check/dump/copy-text.ts'
import { dumpDatabase, tableFile } from '../../chaos/check/dump/dump-database.ts'
import { DumpedDatabase } from '../../chaos/check/dump/dumped-database.ts'
import { Model } from '../../chaos/check/replay/model.ts'
import { ReplayCheck } from '../../chaos/check/replay/replay-check.ts'
import { reportLines } from '../../cli/check/print.ts'
import { sourcesOfUrls } from '../../cli/check/sources.ts'
import { withScope } from '../../cli/scope.ts'
import { DatabaseSnapshot } from '../../db/postgres/snapshot.ts'
import { principalId, seq } from '../../protocol/types.ts'
import { Parties } from '../unit/check/synthetic/run.ts'
import { ALICE, BOB, genesisOf, REPLICA, type RequestSpec, runOf, TELLER } from '../unit/db/fixture.ts'
import { type ScratchPostgres, type Sql, scratchPostgres, storeOn } from '../unit/db/scratch-postgres.ts'

const genesis = genesisOf()
const pay = (number: number, amount: bigint): RequestSpec => ({
  client: ALICE,
  number,
  operations: [
    { kind: 'transfer', from: 'a', to: 'b', amount },
    { kind: 'history', account: 'a', before: null, limit: 3 },
  ],
})
const open = (number: number, account: string, name: string, address: string | null): RequestSpec => ({
  client: TELLER,
  number,
  operations: [{ kind: 'open', account, owner: principalId(BOB), customer: { name, address } }],
})
const HISTORY = runOf([
  [
    pay(1, 10n),
    { client: TELLER, number: 1, operations: [{ kind: 'deposit', account: 'b', amount: 2n ** 40n }] },
  ],
  [open(2, 'B.low', 'Zoë \\ 😀 \\x41', null)],
  [],
  [{ client: REPLICA, number: 9, operations: [{ kind: 'recover', view: 3 as never }] }],
  [{ client: ALICE, number: 2, operations: [{ kind: 'lookup' }] }],
  [open(3, 'b:0', 'x'.repeat(200), '"\'\\N')],
  [pay(4, 1n)],
])

let server: ScratchPostgres
let database: { readonly url: string; readonly sql: Sql }
let directory = ''
beforeAll(async () => {
  server = await scratchPostgres()
  database = await server.database()
  directory = await mkdtemp(join(tmpdir(), 'pbft-dump-'))
  const store = storeOn(database.url)
  await store.connect()
  for (const at of HISTORY) await store.execute([at], { durable: false })
  await store.close()
})
afterAll(async () => {
  await server.stop()
  await rm(directory, { recursive: true })
})

test('Postgres prints each row as the model does, whatever is in its text', async () => {
  await dumpDatabase(database.url, directory)
  const model = new Model(genesis)
  const transfers: string[] = []
  const chain: string[] = []
  for (const at of HISTORY) {
    const { changes } = model.execute(at)
    transfers.push(...changes.transfers.map((row) => rowText('transfers', row)))
    chain.push(...changes.chain.map((row) => rowText('chain', row)))
  }
  const printed = (table: Parameters<typeof tableFile>[1]) => readFile(tableFile(directory, table), 'utf8')
  expect(await printed('transfers')).toBe(transfers.join(''))
  expect(await printed('chain')).toBe(chain.join(''))
  for (const table of ['accounts', 'customers', 'principals', 'client_table'] as const) {
    const rows = model.rows(table).map((row) => rowText(table, row))
    expect(await printed(table)).toBe(rows.join(''))
  }
  const dump = await DumpedDatabase.open(directory)
  expect(dump.meta).toEqual({
    clusterId: genesis.clusterId,
    genesisDigest: genesis.digest,
    replica: 0,
    ...model.position,
  })
})

test('a dump gives the same rows as the database, at any seq', async () => {
  const dump = await DumpedDatabase.open(directory)
  const snapshot = await DatabaseSnapshot.open(database.url)
  try {
    for (const at of [0, 2, 5, HISTORY.length]) {
      for (const table of [
        'accounts',
        'transfers',
        'chain',
        'customers',
        'principals',
        'client_table',
      ] as const) {
        const rows = [[], []] as [unknown[], unknown[]]
        for await (const row of dump.rows(table, at)) rows[0].push(row)
        for await (const row of snapshot.rows(table, at)) rows[1].push(row)
        expect(rows[0]).toEqual(rows[1])
      }
    }
    const views = new Map<number, DatabaseView>([
      [0, dump],
      [1, snapshot],
    ])
    expect(await compareDatabases(views, genesis)).toMatchObject({ differences: [], contradictions: [] })
  } finally {
    await snapshot.close()
  }
})

test('what somebody changes in Postgres is what the replay finds', async () => {
  await database.sql(`update customers set name = 'a' || chr(9) || 'b' where owner = ${BOB}`)
  await dumpDatabase(database.url, directory)
  const replay = new ReplayCheck(genesis, [await DumpedDatabase.open(directory)])
  for (const { seq: at, batch } of HISTORY) replay.execute(seq(at), batch)
  await replay.finish(async () => new Map(HISTORY.map(({ seq: at, batch }) => [at, batch])))
  replay.close()
  const [finding] = replay.report().findings
  expect(finding?.what).toMatch(
    /table customers, row 1002, column name: replica 0 has a b; the model says x+\.\.\./,
  )
  expect(finding?.details).toEqual([
    'the model changed it last at seq 6',
    expect.stringMatching(/^batch [0-9a-f]{16} at seq 6: 1 operations, 1 of them touch this row$/),
    '  open b:0, of request 1000/0/3',
  ])
})

test('databases given by URL are held against each other, without any log', async () => {
  const parties = new Parties({ accounts: 3 })
  const run = runOf([
    [{ client: 1000, number: 1, operations: [{ kind: 'deposit', account: 'a1', amount: 5n }] }],
  ])
  const databases = await Promise.all(
    [0, 1, 2].map(async (replica) => {
      const at = await server.database()
      const store = storeOn(at.url, { replica, genesis: parties.genesis })
      await store.connect()
      await store.execute(run, { durable: true })
      await store.close()
      return at
    }),
  )
  const genesisFile = join(directory, 'genesis.json')
  await writeFile(genesisFile, parties.genesisText)
  const judge = () =>
    withScope(async (scope) => {
      const urls = databases.map(({ url }) => url)
      const args = { genesis: genesisFile, databases: urls, votes: [], history: null }
      const { sources, places } = await sourcesOfUrls(scope, args)
      return { report: await check(sources), places }
    })
  const { report, places } = await judge()
  expect(report.verdict).toBe('pass')
  expect(report.databases.map(({ replica }) => replica)).toEqual([0, 1, 2])
  expect(places.get(1)).not.toContain('p@ss')
  await databases[1]?.sql(`update accounts set balance = balance + 1 where id = 'a2'`)
  const edited = await judge()
  expect(edited.report.verdict).toBe('fail')
  expect(reportLines(edited.report, edited.places).join('\n')).toMatch(
    /replay: replica 1 differs first in table accounts, row a2, column balance: it has 1000001, replicas 0 and 2 have 1000000/,
  )
})
