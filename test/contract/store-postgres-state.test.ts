import { execFileSync } from 'node:child_process'
import { statSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PostgresStore } from '../../db/postgres/store.ts'
import { ROOT } from '../../db/state-tree/place.ts'
import type { Store, TransferTarget } from '../../db/store.ts'
import type { Partition } from '../../protocol/messages.ts'
import { replicaId, seq } from '../../protocol/types.ts'
import { ALICE, genesisOf, runOf } from '../unit/db/fixture.ts'
import { answerDroppingProxy } from '../unit/db/postgres-faults.ts'
import { type ScratchPostgres, type Sql, scratchPostgres, storeOn } from '../unit/db/scratch-postgres.ts'

const relaxed = { durable: false }
const pay = (number: number) => {
  return {
    client: ALICE,
    number,
    operations: [{ kind: 'transfer' as const, from: 'a', to: 'b', amount: 1n }],
  }
}

let server: ScratchPostgres
beforeAll(async () => {
  server = await scratchPostgres()
})
afterAll(() => server.stop())

type Opened = {
  readonly store: PostgresStore
  readonly url: string
  readonly sql: Sql
  readonly lost: () => number
}

/** Runs `body` with a connected store of its own database that executed so many batches. */
async function withStore(batches: number, body: (opened: Opened) => Promise<void>): Promise<void> {
  const { url, sql } = await server.database()
  let lost = 0
  const onCheckpointsLost = () => {
    lost += 1
  }
  const store = new PostgresStore({ url, genesis: genesisOf(), replica: replicaId(0), onCheckpointsLost })
  try {
    await store.connect()
    for (let n = 1; n <= batches; n++) await store.execute(runOf([[pay(n)]], n), relaxed)
    await body({ store, url, sql, lost: () => lost })
  } finally {
    await store.close()
  }
}

async function checkpointOf(store: Store): Promise<TransferTarget> {
  const { lastExecuted, chain, stateRoot } = await store.takeCheckpoint()
  return { seq: lastExecuted, chain, stateRoot: await stateRoot }
}

/** Fetches all of the target that `to` lacks. */
async function fetchAll(from: Store, to: Store, target: TransferTarget, rescan = false): Promise<void> {
  const { partitions, history } = await to.beginTransfer(target, { rescan })
  const wanted: Partition[] = [...partitions]
  for (let partition = wanted.pop(); partition !== undefined; partition = wanted.pop()) {
    const [read] = (await from.readPartitions(target.seq, { partitions: [partition], bytesMax: 1 })) ?? []
    if (read === undefined) throw new Error('nothing read')
    wanted.push(...(await to.stagePartition(partition, read.node)))
  }
  if (history) await to.stageHistory(await from.readHistory({ upTo: target.seq, bytesMax: 1_000_000 }))
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )
const withRoot = { partitions: [ROOT], bytesMax: 1_000 }
const SNAPSHOTS = `pid <> pg_backend_pid() and datname = current_database() and state = 'idle in transaction'`

describe('held states', () => {
  test('[CP3] are a transaction each, which ends when the state is let go of', async () => {
    await withStore(1, async ({ store, sql }) => {
      const held = async () => (await sql(`select pid from pg_stat_activity where ${SNAPSHOTS}`)).length
      await checkpointOf(store)
      await store.execute(runOf([[pay(2)]], 2), relaxed)
      await checkpointOf(store)
      await checkpointOf(store)
      expect(await held()).toBe(2)
      store.keepCheckpoints([seq(2)])
      // Behind the end of the transaction that is let go of.
      await store.readPartitions(seq(2), withRoot)
      await expect.poll(held).toBe(1)
      expect(await store.readPartitions(seq(1), withRoot)).toBeUndefined()
    })
  })

  test('[CP3] are lost all at once with a connection, and the store goes on', async () => {
    await withStore(1, async ({ store, sql, lost }) => {
      await checkpointOf(store)
      await store.execute(runOf([[pay(2)]], 2), relaxed)
      await checkpointOf(store)
      await sql(`select pg_terminate_backend(pid) from pg_stat_activity where ${SNAPSHOTS} limit 1`)
      await expect.poll(lost).toBe(1)
      expect(await store.readPartitions(seq(1), withRoot)).toBeUndefined()
      expect(await store.readPartitions(seq(2), withRoot)).toBeUndefined()
      await store.execute(runOf([[pay(3)]], 3), relaxed)
      expect((await checkpointOf(store)).seq).toBe(3)
      expect(lost()).toBe(1)
    })
  })

  test('[CP3] are lost with the store, but not told of when it is closed', async () => {
    await withStore(1, async ({ store, sql, lost }) => {
      await checkpointOf(store)
      await sql(`select pg_terminate_backend(pid) from pg_stat_activity
        where pid <> pg_backend_pid() and datname = current_database()`)
      expect(await failure(store.read([]))).toMatchObject({ code: 'unavailable' })
      expect(lost()).toBe(1)
      await store.connect()
      await checkpointOf(store)
      await store.close()
      expect(lost()).toBe(1)
    })
  })

  test('[CP3] are of the state where the database is', async () => {
    await withStore(1, async ({ store, sql }) => {
      await sql('update meta set last_executed = 7')
      expect(await failure(store.takeCheckpoint())).toMatchObject({ code: 'reconcile' })
    })
  })
})

describe('the path column', () => {
  test('[CP2] is filled for every row, with what rows are looked for', async () => {
    await withStore(2, async ({ store, url, sql }) => {
      const { mismatches } = await store.scrub({ share: 1 })
      expect(await mismatches).toEqual([])
      const other = await server.database()
      const to = storeOn(other.url)
      await to.connect()
      await fetchAll(store, to, await checkpointOf(store))
      await to.installTransfer()
      await to.close()
      const paths = `select path from accounts union all select path from customers
        union all select path from principals union all select path from client_table order by path`
      expect(await other.sql(paths)).toEqual(await sql(paths))
      expect(url).not.toBe(other.url)
    })
  })

  test.each(['accounts', 'customers', 'principals', 'client_table'])(
    '[CP6] of %s, changed by hand, is named and put right',
    async (table) => {
      await withStore(2, async ({ store, sql }) => {
        const before = await sql(`select * from ${table} order by path`)
        await sql(`update ${table} set path = path + 1 where path = (select min(path) from ${table})`)
        const { mismatches } = await store.scrub({ share: 1 })
        expect(await mismatches).toContainEqual(expect.objectContaining({ table, column: 'path' }))
        const target = await checkpointOf(store)
        expect(await store.beginTransfer(target, { rescan: true })).toEqual({
          partitions: [],
          history: false,
        })
        const { repaired } = await store.installTransfer()
        expect(repaired).toEqual([expect.objectContaining({ table, column: 'path' })])
        expect(await sql(`select * from ${table} order by path`)).toEqual(before)
        const again = await store.scrub({ share: 1 })
        expect(await again.mismatches).toEqual([])
      })
    },
  )
})

describe('installation', () => {
  test('[CP4] [D4] is one synchronous transaction: a crash of the server right after it takes nothing back', async () => {
    const own = await scratchPostgres()
    try {
      await withStore(3, async ({ store: from }) => {
        const { url } = await own.database()
        const to = storeOn(url)
        await to.connect()
        const target = await checkpointOf(from)
        await fetchAll(from, to, target)
        expect(await to.installTransfer()).toMatchObject({ lastExecuted: 3, chain: target.chain })
        process.kill(own.pid, 'SIGQUIT')
        await own.restart()
        expect(await to.connect()).toMatchObject({ lastExecuted: 3, chain: target.chain })
        expect(await checkpointOf(to)).toEqual(target)
        await to.close()
      })
    } finally {
      await own.stop()
    }
  })

  test('[D3] whose answer is lost may have happened, which a new connection tells', async () => {
    await withStore(3, async ({ store: from }) => {
      const { url, sql } = await server.database()
      const proxy = await answerDroppingProxy(url)
      const to = storeOn(proxy.url)
      const holder = new pg.Client(url)
      try {
        await to.connect()
        const target = await checkpointOf(from)
        await fetchAll(from, to, target)
        // The COMMIT itself waits for a lock, so that nothing but its answer is lost.
        await sql(`create function wait_at_commit() returns trigger language plpgsql as
          $$ begin perform pg_advisory_xact_lock(1); return null; end $$`)
        await sql(`create constraint trigger wait_at_commit after update on meta deferrable initially deferred
          for each row execute function wait_at_commit()`)
        await holder.connect()
        await holder.query('select pg_advisory_lock(1)')
        const error = failure(to.installTransfer())
        const waiting = `select 1 from pg_locks where locktype = 'advisory' and not granted`
        await expect.poll(async () => (await sql(waiting)).length).toBe(1)
        proxy.dropAnswers()
        await holder.query('select pg_advisory_unlock(1)')
        expect(await error).toMatchObject({ code: 'reconcile' })
        proxy.passAnswers()
        expect(await to.connect()).toMatchObject({ lastExecuted: 3, chain: target.chain })
        expect(await checkpointOf(to)).toEqual(target)
      } finally {
        await holder.end()
        await to.close()
        await proxy.close()
      }
    })
  })

  test('[D3] of one whose epoch was raised changes nothing', async () => {
    await withStore(3, async ({ store: from }) => {
      await withStore(1, async ({ store: to, sql }) => {
        await fetchAll(from, to, await checkpointOf(from))
        await sql('update meta set epoch = epoch + 1')
        expect(await failure(to.installTransfer())).toMatchObject({ code: 'reconcile' })
        expect(await to.connect()).toMatchObject({ lastExecuted: 1 })
        await to.execute(runOf([[pay(2)]], 2), relaxed)
      })
    })
  })
})

describe('faults of the database', () => {
  test('[D3] a server that only reads for now is unavailable, and then goes on', async () => {
    await withStore(1, async ({ store, sql }) => {
      const name = await nameOf(sql)
      await sql(`alter database ${name} set default_transaction_read_only = on`)
      expect(await failure(store.connect())).toMatchObject({ code: 'unavailable' })
      await sql(`begin read write; alter database ${name} reset default_transaction_read_only; commit`)
      expect(await store.connect()).toMatchObject({ lastExecuted: 1 })
      await store.execute(runOf([[pay(2)]], 2), relaxed)
    })
  })

  // A limit of the process stands for a full disk: it is the kernel that refuses the write. Needs Linux.
  test('[D3] a file that cannot grow is unavailable: nothing was committed, and with room it goes on', async () => {
    await withStore(1, async ({ store, sql }) => {
      await sql('alter table chain set (autovacuum_enabled = off)')
      // Larger than a segment of the write-ahead log, which must be written.
      await sql(`insert into chain select 1000000 + n, batch_digest, replies_digest, transfers_digest, chain
          from chain, generate_series(1, 150000) n`)
      await sql('delete from chain where seq > 1000000')
      const [size] = await sql(`select pg_relation_size('chain') as bytes`)
      const backends = await sql(`select pid from pg_stat_activity
          where pid <> pg_backend_pid() and datname = current_database()`)
      for (const { pid } of backends) {
        // Only the server's own user may.
        const { uid, gid } = statSync(`/proc/${pid}`)
        execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${size?.bytes}`], { uid, gid })
      }
      const error = await failure(executeMany(store))
      expect(error).toMatchObject({ code: 'unavailable' })
      const { lastExecuted } = await store.connect()
      await store.execute(runOf([[pay(lastExecuted + 1)]], lastExecuted + 1), relaxed)
      const { mismatches } = await store.scrub({ share: 1 })
      expect(await mismatches).toEqual([])
    })
  })

  test.each(['53100', '53200', '25006', '40P01', '57014'])(
    '[D3] a COMMIT that the server refused with %s did not happen',
    async (code) => {
      await withStore(1, async ({ store, sql }) => {
        await sql(`create function refuse() returns trigger language plpgsql as
          $$ begin raise exception 'refused' using errcode = '${code}'; end $$`)
        await sql(`create constraint trigger refuse after update on meta deferrable initially deferred
          for each row execute function refuse()`)
        expect(await failure(store.execute(runOf([[pay(2)]], 2), relaxed))).toMatchObject({
          code: 'unavailable',
        })
        await sql('drop trigger refuse on meta')
        expect(await store.connect()).toMatchObject({ lastExecuted: 1 })
        await store.execute(runOf([[pay(2)]], 2), relaxed)
      })
    },
  )
})

/** Until a page of chain rows is full, and more. */
async function executeMany(store: Store): Promise<void> {
  for (let n = 2; n < 200; n++) await store.execute(runOf([[pay(n)]], n), relaxed)
}

const nameOf = async (sql: Sql): Promise<string> =>
  String((await sql('select current_database() as name'))[0]?.name)
