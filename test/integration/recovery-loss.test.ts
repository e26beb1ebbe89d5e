import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pbft } from './cli-process.ts'
import { CHECKPOINT_INTERVAL, RecoveryCluster } from './recovery/cluster.ts'
import { damageLog } from './recovery/damage-log.ts'

const IDLE = ['idle-1', 'idle-2', 'idle-3']
let cluster: RecoveryCluster

beforeAll(async () => {
  cluster = await RecoveryCluster.start({ idle: IDLE })
})
afterAll(() => cluster?.close())

describe('what one replica may lose', () => {
  test('[CP4] its database: the state is fetched', async () => {
    await cluster.kill(1)
    await cluster.wipeDatabase(1)
    await cluster.advance(4 * CHECKPOINT_INTERVAL)
    await cluster.startReplica(1)
    expect(await cluster.audit()).toEqual([])
  })

  test('[D5] its vote log: says so, is not heard until it may be, and comes back by itself', async () => {
    await cluster.kill(2)
    await cluster.wipeVotes(2)
    await cluster.startReplica(2)
    expect(cluster.notices.at(-1)).toMatchObject({
      replica: 2,
      text: expect.stringContaining('no longer knows what it said'),
    })
    expect((await cluster.report(2)).isAmnesiac).toBe(true)
    await cluster.level()
    expect(await cluster.audit()).toEqual([])
  })

  test('[D5] the middle of its vote log: what is left is kept, and named', async () => {
    await cluster.kill(2)
    await damageLog(cluster.votes(2))
    await cluster.startReplica(2)
    const kept = (await readdir(cluster.bundle(2))).filter((name) => name.startsWith('votes.lost-'))
    expect(kept).toHaveLength(1)
    expect(cluster.notices.at(-1)?.text).toContain(kept[0])
    await cluster.level()
    expect(await cluster.audit()).toEqual([])
  })

  test('[D5] [CP4] both', async () => {
    await cluster.kill(3)
    await cluster.wipeVotes(3)
    await cluster.wipeDatabase(3)
    await cluster.startReplica(3)
    await cluster.level()
    expect(await cluster.audit()).toEqual([])
  })
})

describe('[CP6] rows that somebody changed in one database', () => {
  test.each([
    [
      'a balance that is paid into',
      `update accounts set balance = balance + 7 where id = 'caller-3'`,
      'caller-3',
    ],
    ['a balance that nothing touches', `update accounts set balance = 77 where id = 'idle-1'`, 'idle-1'],
    ['a row that is gone', `delete from accounts where id = 'idle-2'`, 'idle-2'],
    [
      'a row too many',
      `insert into accounts select (jsonb_populate_record(a, '{"id": "idle-9"}')).* from accounts a where id = 'idle-3'`,
      'idle-9',
    ],
    [
      'an old transfer',
      'update transfers set amount = amount + 1 where seq = (select min(seq) from transfers)',
      'transfers',
    ],
  ])('%s: found, named and repaired', async (_, text, key) => {
    const { length: from } = await cluster.logOf(2)
    await cluster.database(2).query(text)
    repaired = await cluster.until('the rows are repaired', async () => {
      const now = (await cluster.report(2)).counters['repaired-rows'] ?? 0
      return now > repaired ? now : undefined
    })
    // A row that is gone is known by its place alone until another replica says what stood there.
    await cluster.untilLogged(2, /changed behind this replica's back/, { from })
    await cluster.untilLogged(2, new RegExp(`repaired from the other replicas: .*${key}`), { from })
    expect(await cluster.audit()).toEqual([])
  })
})
let repaired = 0

describe('[D5] more than f lost their vote logs', () => {
  test('they stop, and name the operator’s command', async () => {
    const lost = [1, 2]
    await cluster.load.pause()
    for (const id of lost) {
      await cluster.kill(id)
      await cluster.wipeVotes(id)
    }
    await Promise.all(lost.map((id) => cluster.startReplica(id).catch(() => undefined)))
    for (const id of lost) {
      const { exit } = await cluster.untilDied(id)
      expect(exit).toMatchObject({ code: 1, lastWords: expect.stringContaining('pbft reset-votes') })
    }
  })

  test('the command is refused while a replica runs, and changes nothing unless told to', async () => {
    expect(await reset()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Stop every replica first'),
    })
    for (const id of [...cluster.running]) await cluster.kill(id)
    expect(await reset()).toMatchObject({ code: 2, stdout: expect.stringContaining('nothing was changed') })
  })

  test('then all go on together, also one without a database', async () => {
    await cluster.wipeDatabase(3)
    const { code, stdout } = await reset('--yes')
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/replicas? 3 (is|are) behind/),
    })
    await Promise.all(cluster.replicas.map((id) => cluster.startReplica(id)))
    cluster.load.resume()
    await cluster.advance(2 * CHECKPOINT_INTERVAL)
    expect(await cluster.audit()).toEqual([])
  })
})

const reset = (...options: string[]) => pbft(['reset-votes', '--cluster', cluster.directory, ...options])
