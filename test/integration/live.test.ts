import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Link, LiveNetwork } from '../../chaos/live/live-network.ts'
import { isRunning } from '../../db/provision/postmaster.ts'
import { bundlePaths } from '../../replica/runtime/bundle.ts'
import { CHECKPOINT_INTERVAL, RecoveryCluster } from './recovery/cluster.ts'

let cluster: RecoveryCluster

beforeAll(async () => {
  cluster = await RecoveryCluster.start({
    idle: ['idle'],
    live: {
      allowByzantine: true,
      archive: true,
      traceMessages: true,
      udpProxy: true,
      databaseProxy: true,
    },
  })
})
afterAll(() => cluster?.close())
beforeEach(() => cluster.heal())

const highestPrimary = async (): Promise<number> => {
  const reports = await cluster.reports()
  return reports.toSorted((a, b) => b.view - a.view)[0]?.primary ?? 0
}
/** The others go on without it. */
const goesOn = () => cluster.advance(2 * CHECKPOINT_INTERVAL)
const network = (): LiveNetwork => cluster.live.network
const linksOf = (id: number): Link[] =>
  cluster.replicas
    .filter((other) => other !== id)
    .flatMap((other) => [
      { from: id, to: other },
      { from: other, to: id },
    ])
const everyLink = (): Link[] => [
  ...cluster.replicas.flatMap((from) =>
    cluster.replicas.filter((to) => to !== from).map((to) => ({ from, to })),
  ),
  ...cluster.replicas.flatMap((id): Link[] => [
    { from: 'clients', to: id },
    { from: id, to: 'clients' },
  ]),
]
/** What the replica's log says in lines with `text`, once there are any. */
async function untilLogged(id: number, text: string): Promise<Record<string, unknown>[]> {
  const log = await cluster.untilLogged(id, new RegExp(text))
  const lines = log.split('\n').filter((line) => line.includes(text))
  return lines.map((line) => JSON.parse(line))
}

describe('processes', () => {
  test('killed, and terminated: it comes back; neither is a death that nobody asked for', async () => {
    await cluster.kill(1)
    await goesOn()
    await cluster.startReplica(1)
    await cluster.level()
    await cluster.live.terminate(1)
    expect(await cluster.postmaster(1)).toBeUndefined()
    await goesOn()
    expect(cluster.died).toEqual([])
  })

  test('the primary stands still: another one takes over, and it follows when it goes on', async () => {
    const primary = await highestPrimary()
    cluster.live.pause(primary)
    expect(cluster.live.paused).toEqual([primary])
    await goesOn()
    expect(await highestPrimary()).not.toBe(primary)
    cluster.live.resume(primary)
    await cluster.level()
    const trace = await readFile(bundlePaths(cluster.bundle((primary + 1) % 4)).messages, 'utf8')
    expect(trace).toMatch(/"type":"view-change"[\s\S]*"event":"view-entered"/)
  })
})

describe('links', () => {
  test('bad ones: it goes on, and each fault happened', async () => {
    network().add(everyLink(), {
      loss: 0.02,
      delayMs: 2,
      jitterMs: 2,
      duplicate: 0.05,
      reorder: 0.05,
      corrupt: 0.01,
      replay: 0.05,
      bytesPerSecond: 50_000_000,
    })
    await goesOn()
    network().heal()
    const { lost, delayed, duplicated, reordered, corrupted, replayed } = network().counters()
    expect(Math.min(lost, delayed, duplicated, reordered, corrupted, replayed)).toBeGreaterThan(0)
  })

  test('a replica is cut off, and one way only: it stands still, and catches up', async () => {
    const id = ((await highestPrimary()) + 1) % 4
    const join = network().add(linksOf(id), { cut: true })
    await goesOn()
    await goesOn()
    // What had reached it before fits into one log window.
    const behind = (await cluster.report(id)).lastExecuted
    const ahead = Math.max(...(await cluster.reports()).map(({ lastExecuted }) => lastExecuted))
    expect(ahead - behind).toBeGreaterThanOrEqual(2 * CHECKPOINT_INTERVAL)
    join()
    await cluster.level()
    network().add(
      linksOf(id).filter(({ from }) => from === id),
      { cut: true },
    )
    await goesOn()
    network().heal()
    await cluster.level()
  })
})

describe('databases', () => {
  test('slow, cut, refusing, killed, paused: the others go on, and it catches up', async () => {
    const database = cluster.database(2)
    database.slow(50)
    await goesOn()
    database.open()
    database.cut()
    await cluster.level()
    database.refuse()
    await goesOn()
    database.open()
    await cluster.level()
    await database.killServer()
    await goesOn()
    await cluster.level()
    await database.pauseServer()
    await goesOn()
    await database.resumeServer()
    await cluster.level()
    await untilLogged(2, 'database lost; reconnecting')
  })

  test('a row is edited: it is repaired', async () => {
    const { rows } = await cluster.database(1).query(`select balance from accounts where id = 'idle'`)
    expect(rows).toEqual([['0']])
    await cluster.database(1).query(`update accounts set balance = 5 where id = 'idle'`)
    await untilLogged(1, 'repaired from the other replicas')
  })
})

describe('disks', () => {
  test('all lose power: they come back, and redo what their databases lost', async () => {
    await cluster.advance(3)
    await cluster.live.losePower(cluster.replicas)
    expect(cluster.running).toEqual([])
    await Promise.all(cluster.replicas.map((id) => cluster.startReplica(id)))
    await cluster.level()
    await cluster.untilLogged(cluster.replicas, /"redone"/)
  })

  test('votes and database are wiped: it is let back in, and rows and history come from others', async () => {
    await expect(cluster.live.wipeVotes(3)).rejects.toThrow(/replica 3 runs/)
    await cluster.kill(3)
    await cluster.wipeVotes(3)
    await cluster.wipeDatabase(3)
    await goesOn()
    await cluster.startReplica(3)
    await cluster.level()
    const [transfer] = await untilLogged(3, '"transfer-installed"')
    expect(Math.min(Number(transfer?.rows), Number(transfer?.history))).toBeGreaterThan(0)
    expect(await untilLogged(3, '"amnesiac-votes-again"')).toHaveLength(1)
  })
})

describe('clock and messages', () => {
  test('a clock runs fast, slow and jumps: it goes on', async () => {
    for (const rate of [10, 0.1, 1]) {
      await cluster.live.control(1, { kind: 'clock', rate, jumpMs: 5_000 })
      await goesOn()
    }
  })

  test('a primary that proposes nothing is replaced, and a command that makes no sense refused', async () => {
    const primary = await highestPrimary()
    await cluster.live.control(primary, {
      kind: 'send-filter',
      drop: [{ type: 'pre-prepare', probability: 1 }],
    })
    await goesOn()
    expect(await highestPrimary()).not.toBe(primary)
    await cluster.live.control(primary, { kind: 'send-filter', drop: [] })
    await expect(cluster.live.control(1, { kind: 'clock', rate: 11 })).rejects.toThrow(
      /replica 1: clock: .*rate/,
    )
  })
})

test('nothing that a caller was told is lost, and all databases are equal', async () => {
  expect(await cluster.audit()).toEqual([])
})

const untilGone = (pids: readonly number[]) =>
  expect.poll(() => pids.filter(isRunning), { timeout: 30_000 }).toEqual([])

test('it stops from any state, and leaves no process behind', async () => {
  const reports = await cluster.reports()
  const pids = reports.flatMap(({ pid, database }) => [pid, database.pid ?? pid])
  expect(pids).toHaveLength(8)
  await cluster.load.stop()
  network().add(everyLink(), { cut: true })
  cluster.live.pause(0)
  await cluster.database(1).pauseServer()
  cluster.database(2).refuse()
  await cluster.kill(3)
  await cluster.live.stop()
  await untilGone(pids)
})
