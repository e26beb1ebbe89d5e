import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serverUser, spawnAs } from '../../db/provision/server-user.ts'
import { CHECKPOINT_INTERVAL, RecoveryCluster } from './recovery/cluster.ts'

const run = promisify(execFile)
const PROXIED = 3

let cluster: RecoveryCluster

beforeAll(async () => {
  cluster = await RecoveryCluster.start({ live: { databaseProxy: true } })
})
afterAll(() => cluster?.close())

const isConnected = async (id: number): Promise<boolean> => (await cluster.report(id)).database.connected

describe('[D3] [D4] what a database does to its replica', () => {
  test.each([0, 1])('the server of replica %i is killed under load: it is started again', async (id) => {
    const server = await cluster.postmaster(id)
    if (server === undefined) throw new Error(`replica ${id} has no server`)
    process.kill(server, 'SIGKILL')
    await cluster.until('another server serves', async () => {
      const now = await cluster.postmaster(id)
      return now !== undefined && now !== server ? true : undefined
    })
    await cluster.level()
    await cluster.untilLogged(id, /database lost; reconnecting[\s\S]*database reached again/)
  })

  test('it refuses for a while: the replica waits, and the others go on', async () => {
    cluster.database(PROXIED).refuse()
    await cluster.until('the replica noticed', async () => ((await isConnected(PROXIED)) ? undefined : true))
    await cluster.advance(CHECKPOINT_INTERVAL)
    cluster.database(PROXIED).open()
    await cluster.level()
  })

  test('it refuses for so long that messages do not reach back: the state is fetched', async () => {
    cluster.database(PROXIED).refuse()
    await cluster.advance(8 * CHECKPOINT_INTERVAL)
    cluster.database(PROXIED).open()
    await cluster.level()
  })

  test('it is slow: the others go on, and it catches up', async () => {
    cluster.database(PROXIED).slow(100)
    await cluster.advance(3 * CHECKPOINT_INTERVAL)
    cluster.database(PROXIED).open()
    await cluster.level()
  })

  test('a connection is lost between COMMIT and its answer: executed once', async () => {
    for (let time = 0; time < 3; time++) {
      await cluster.database(PROXIED).proxy.swallowAnswerTo('write-')
      await cluster.level()
    }
    expect(await cluster.audit()).toEqual([])
  })

  test('its disk is full: the replica waits and says so, and goes on when there is room', async () => {
    const id = 1
    const server = await cluster.postmaster(id)
    if (server === undefined) throw new Error(`replica ${id} has no server`)
    // New rows go to the end of the file: one that is beyond what may be written, half a page further.
    await cluster.database(id).query(BLOAT)
    const { rows } = await cluster.database(id).query(`select pg_relation_size('transfers') as bytes`)
    await limitFiles(server, `${Number(rows[0]?.[0]) + HALF_A_PAGE}`)
    await cluster.database(id).query(END_OTHER_SESSIONS)
    await cluster.untilLogged(id, /could not extend file/)
    await cluster.advance(CHECKPOINT_INTERVAL)
    expect(cluster.running).toContain(id)
    await limitFiles(server, 'unlimited')
    await cluster.database(id).query(END_OTHER_SESSIONS)
    await cluster.level()
    expect(await cluster.audit()).toEqual([])
  })
})

/** Of what the server's later processes write; as its own user, which may do that without being root. */
const limitFiles = async (pid: number, bytes: string) =>
  run('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`], spawnAs(await serverUser()))

const HALF_A_PAGE = 4_096
/** Rolled back, so that the file is long and the table is not: a segment of the write-ahead log is shorter. */
const BLOAT = `begin;
  insert into transfers (seq, index, debit, credit, amount, debit_entry, debit_previous, credit_entry, credit_previous)
    select 1000000000 + n, 0, 'nobody', 'nobody', 1, 1, 0, 1, 0 from generate_series(1, 200000) n;
  rollback`
const END_OTHER_SESSIONS = `select pg_terminate_backend(pid) from pg_stat_activity
  where backend_type = 'client backend' and pid <> pg_backend_pid()`
