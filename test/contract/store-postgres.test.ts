import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresStore } from '../../db/postgres/store.ts'
import { seq } from '../../protocol/types.ts'
import { ALICE, genesisOf, resultsOf, runOf, TELLER } from '../unit/db/fixture.ts'
import { answerDroppingProxy, whileMetaIsLocked } from '../unit/db/postgres-faults.ts'
import { type ScratchPostgres, type Sql, scratchPostgres, storeOn } from '../unit/db/scratch-postgres.ts'

const relaxed = { durable: false }
const pay = (number: number, amount = 1n) => {
  return { client: ALICE, number, operations: [{ kind: 'transfer' as const, from: 'a', to: 'b', amount }] }
}

let server: ScratchPostgres
beforeAll(async () => {
  server = await scratchPostgres()
})
afterAll(() => server.stop())

/** Runs `body` with a connected store of its own database that executed seq 1. */
async function withStore(
  body: (args: { store: PostgresStore; url: string; sql: Sql }) => Promise<void>,
): Promise<void> {
  const { url, sql } = await server.database()
  const store = storeOn(url)
  try {
    await store.connect()
    await store.execute(runOf([[pay(1)]]), relaxed)
    await body({ store, url, sql })
  } finally {
    await store.close()
  }
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('[D3] one process executes', () => {
  test('a second process is told who holds the lock, and gets it when that one is gone', async () => {
    await withStore(async ({ store, url }) => {
      const other = storeOn(url)
      const error = await failure(other.connect())
      expect(error).toMatchObject({ code: 'locked' })
      expect(String(error)).toContain(`pbft replica 0, process ${process.pid}`)
      await store.close()
      expect(await other.connect()).toMatchObject({ lastExecuted: 1 })
      await other.close()
    })
  })

  test('one whose epoch was raised by another writes nothing', async () => {
    await withStore(async ({ store, sql }) => {
      await sql('update meta set epoch = epoch + 1')
      expect(await failure(store.execute(runOf([[pay(2)]], 2), relaxed))).toMatchObject({ code: 'reconcile' })
      expect(await sql('select last_executed, (select count(*) from chain) as chain from meta')).toEqual([
        { last_executed: '1', chain: '1' },
      ])
      expect(await store.connect()).toMatchObject({ lastExecuted: 1 })
      await store.execute(runOf([[pay(2)]], 2), relaxed)
    })
  })

  test('one that lost its lock finds what the next process did', async () => {
    await withStore(async ({ store, url, sql }) => {
      await sql(`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`)
      const other = storeOn(url)
      await other.connect()
      await other.execute(runOf([[pay(2, 5n)]], 2), relaxed)
      const error = await failure(store.execute(runOf([[pay(3, 50n)]], 2), relaxed))
      expect(['reconcile', 'unavailable']).toContain((error as { code?: string }).code)
      expect((await other.read(['a'])).values).toMatchObject([{ balance: 94n, version: 2 }])
      await other.close()
      expect(await store.connect()).toMatchObject({ lastExecuted: 2, lanes: [{ number: 2 }] })
    })
  })

  test('a database that moved while a run was executed is not written', async () => {
    await withStore(async ({ store, sql }) => {
      await sql('update meta set last_executed = 7')
      expect(await failure(store.execute(runOf([[pay(2)]], 2), relaxed))).toMatchObject({ code: 'reconcile' })
      expect(await sql('select seq from transfers')).toEqual([{ seq: '1' }])
    })
  })
})

describe('[D3] a broken connection', () => {
  test('in the middle of a commit leaves the outcome to a new connection: nothing was written', async () => {
    await withStore(async ({ store, url, sql }) => {
      await whileMetaIsLocked(url, async (blockedPid) => {
        const execution = failure(store.execute(runOf([[pay(2)]], 2), relaxed))
        await sql(`select pg_terminate_backend(${await blockedPid()})`)
        expect(await execution).toMatchObject({ code: 'reconcile' })
      })
      expect(await store.connect()).toMatchObject({ lastExecuted: 1, lanes: [{ number: 1 }] })
      expect(await store.execute(runOf([[pay(2)]], 2), relaxed)).toHaveLength(1)
    })
  })

  test('behind which the commit happened is found by connecting again', async () => {
    const { url } = await server.database()
    const proxy = await answerDroppingProxy(url)
    const store = storeOn(proxy.url)
    try {
      await store.connect()
      const [first] = await store.execute(runOf([[pay(1)]]), relaxed)
      proxy.dropAnswers()
      expect(await failure(store.execute(runOf([[pay(2)]], 2), { durable: true }))).toMatchObject({
        code: 'reconcile',
      })
      expect(await failure(store.read(['a']))).toMatchObject({ code: 'unavailable' })
      proxy.passAnswers()
      const position = await store.connect()
      expect(position).toMatchObject({ lastExecuted: 2, lanes: [{ number: 2 }] })
      expect(position.chain).toBe((await store.chainAt(seq(2)))?.chain)
      expect(position.chain).not.toBe(first?.chain)
    } finally {
      await store.close()
      await proxy.close()
    }
  })

  test('while idle is an unavailable database, until the next connect', async () => {
    await withStore(async ({ store, sql }) => {
      await sql(
        'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
      )
      const error = await failure(store.read(['a']))
      expect(error).toMatchObject({ code: 'unavailable' })
      expect(await store.connect()).toMatchObject({ lastExecuted: 1 })
      expect((await store.read(['a'])).lastExecuted).toBe(1)
    })
  })

  test('to a server that is not there is unavailable, and names no password', async () => {
    const error = await failure(storeOn('postgresql://pbft:secret@127.0.0.1:1/postgres').connect())
    expect(error).toMatchObject({ code: 'unavailable' })
    expect(String(error)).not.toContain('secret')
  })
})

describe('a database of someone else', () => {
  test('another cluster', async () => {
    await withStore(async ({ store, url }) => {
      await store.close()
      const genesis = genesisOf({ clusterId: 'f'.repeat(32) })
      expect(await failure(storeOn(url, { genesis }).connect())).toMatchObject({ code: 'foreign' })
    })
  })

  test('another replica of this cluster, even while that one runs', async () => {
    await withStore(async ({ url }) => {
      const error = await failure(storeOn(url, { replica: 1 }).connect())
      expect(error).toMatchObject({ code: 'foreign' })
      expect(String(error)).toContain('belongs to replica 0')
    })
  })

  test('a newer version of this program', async () => {
    await withStore(async ({ store, url, sql }) => {
      await store.close()
      await sql(`insert into schema_migrations (name, run_on) values ('0999_future', now())`)
      expect(await failure(storeOn(url).connect())).toMatchObject({ code: 'foreign' })
    })
  })

  test('[D4] a server without fsync', async () => {
    const { url, sql } = await server.database()
    await sql('create schema fake')
    await sql(`create function fake.current_setting(text) returns text language sql as $$ select 'off' $$`)
    await sql(`alter database ${new URL(url).pathname.slice(1)} set search_path = public, fake, pg_catalog`)
    const error = await failure(storeOn(url).connect())
    expect(error).toMatchObject({ code: 'broken' })
    expect(String(error)).toContain('fsync')
  })
})

describe('rows changed behind the back', () => {
  const one = { table: 'accounts', key: 'a' }
  const lane = { table: 'client_table', key: `${ALICE}/0` }
  test.each([
    [
      `update accounts set balance = balance + 1 where id = 'a'`,
      { ...one, column: 'balance', expected: '99', found: '100' },
    ],
    [
      `update accounts set version = 0 where id = 'a'`,
      { ...one, column: 'version', expected: '1', found: '0' },
    ],
    [`delete from accounts where id = 'a'`, { ...one, column: null, found: null }],
    ['update client_table set version = 0', { ...lane, column: 'version', expected: '1', found: '0' }],
    ['delete from client_table', { ...lane, column: null, found: null }],
    [
      `insert into transfers values (2, 0, 'x', 'y', 1, 1, 0, 1, 0)`,
      { table: 'transfers', key: '2/0', column: null, expected: null },
    ],
    [
      `insert into chain select 2, batch_digest, replies_digest, transfers_digest, chain from chain`,
      { table: 'chain', key: '2', column: null, expected: null },
    ],
  ])('[CP6] %s is noticed and named, not overwritten', async (tamper, named) => {
    await withStore(async ({ store, sql }) => {
      await sql(tamper)
      const everything = 'select * from accounts, client_table, transfers, chain'
      const before = await sql(everything)
      const error = await failure(store.execute(runOf([[pay(2)]], 2), relaxed))
      expect(error).toMatchObject({ code: 'tampered', rows: [named] })
      expect(String(error)).toContain(`row ${named.table} ${named.key}`)
      expect(await sql(everything)).toEqual(before)
      expect(await sql('select last_executed from meta')).toEqual([{ last_executed: '1' }])
      // Still connected, where it was.
      expect(await store.read([])).toMatchObject({ lastExecuted: 1 })
    })
  })

  test.each([
    [`update accounts set owner = 1002 where id = 'c'`, { column: 'digest' }],
    [`update accounts set balance = 7 where id = 'c'`, { column: 'digest' }],
    [`delete from accounts where id = 'c'`, { column: null, found: null }],
  ])('[CP6] %s, of a row that was not in memory, is not executed on', async (tamper, named) => {
    await withStore(async ({ store, sql }) => {
      await sql(tamper)
      const deposit = { kind: 'deposit' as const, account: 'c', amount: 1n }
      const run = runOf([[{ client: TELLER, number: 1, operations: [deposit] }]], 2)
      expect(await failure(store.execute(run, relaxed))).toMatchObject({
        code: 'tampered',
        rows: [{ table: 'accounts', key: 'c', ...named }],
      })
      expect(await sql('select last_executed from meta')).toEqual([{ last_executed: '1' }])
    })
  })

  test.each([
    ['a circle of links', 'update transfers set debit_previous = 3 << 20 where seq = 1', 3],
    ['a link into another history', 'update transfers set debit_previous = 2 << 20 where seq = 3', 1],
    ['a head in another history', `update accounts set newest = 2 << 20 where id = 'a'`, 0],
  ])('%s ends the history there', async (_, tamper, length) => {
    await withStore(async ({ store, sql }) => {
      const deposit = { kind: 'deposit' as const, account: 'c', amount: 1n }
      await store.execute(
        runOf([[{ client: TELLER, number: 1, operations: [deposit] }], [pay(2), pay(3)]], 2),
        relaxed,
      )
      await sql(tamper)
      const history = { kind: 'history' as const, account: 'a', before: null, limit: 10 }
      const [done] = await store.execute(
        runOf([[{ client: ALICE, number: 4, operations: [history] }]], 4),
        relaxed,
      )
      const [result] = resultsOf(done)
      expect(result?.kind === 'history' && result.entries).toHaveLength(length)
    })
  })
})

describe('first start', () => {
  test('killed between migration and genesis, is done again', async () => {
    await withStore(async ({ store, url, sql }) => {
      await store.close()
      // What is left when the transaction of genesis did not commit.
      await sql('truncate meta, accounts, customers, principals, client_table, transfers, chain')
      const again = storeOn(url)
      expect(await again.connect()).toMatchObject({ lastExecuted: 0, lanes: [] })
      expect((await again.read(['a'])).values).toMatchObject([{ balance: 100n }])
      await again.close()
    })
  })

  test('killed in the migrations, is done again', async () => {
    const { url, sql } = await server.database()
    await sql(
      'create table schema_migrations (id serial primary key, name varchar(255) not null, run_on timestamp not null)',
    )
    const store = storeOn(url)
    expect(await store.connect()).toMatchObject({ lastExecuted: 0 })
    await store.close()
  })
})

describe('[D4] synchronous_commit', () => {
  test('a durable run is on disk when it is answered, with all before it, and survives a crash of the server', async () => {
    const own = await scratchPostgres()
    try {
      const { url, sql } = await own.database()
      // Nothing else brings the log to the disk meanwhile.
      await sql(`alter system set wal_writer_delay = '10s'`)
      await sql('select pg_reload_conf()')
      const store = storeOn(url)
      await store.connect()
      await store.execute(runOf([[pay(1)], [pay(2)]]), relaxed)
      const [before] = await sql('select pg_current_wal_insert_lsn()::text as lsn')
      const durable = await store.execute(runOf([[pay(3)]], 3), { durable: true })
      expect(await sql(`select pg_current_wal_flush_lsn() > '${before?.lsn}'::pg_lsn as flushed`)).toEqual([
        { flushed: true },
      ])
      await store.execute(runOf([[pay(4)]], 4), relaxed)
      process.kill(own.pid, 'SIGQUIT')
      await own.restart()
      const again = await store.connect()
      expect([3, 4]).toContain(again.lastExecuted)
      expect((await store.chainAt(seq(3)))?.chain).toBe(durable[0]?.chain)
      // What the crash took back is executed again to the same chain.
      if (again.lastExecuted === 3) await store.execute(runOf([[pay(4)]], 4), relaxed)
      expect((await store.read(['a'])).values).toMatchObject([{ balance: 96n, version: 4 }])
      await store.close()
    } finally {
      await own.stop()
    }
  })
})
