import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { FAILPOINTS, type Failpoint, type FailpointDeed } from '../../replica/runtime/failpoints.ts'
import { CHECKPOINT_INTERVAL, RecoveryCluster } from './recovery/cluster.ts'

/** What makes a replica pass a point. */
const OCCASIONS: Record<FailpointDeed, Occasion> = {
  'persist-pre-prepare': 'load',
  'persist-prepared': 'load',
  'persist-committed': 'load',
  'persist-batch': 'catching up',
  'persist-checkpoint': 'load',
  'persist-stable': 'load',
  'persist-view-change': 'losing the primary',
  'persist-new-view': 'losing the primary',
  'persist-recovered': 'losing the vote log',
  'send-request': 'losing the vote log',
  'send-pre-prepare': 'leading',
  'send-prepare': 'load',
  'send-commit': 'load',
  'send-checkpoint': 'load',
  'send-reply': 'load',
  'send-view-change': 'losing the primary',
  'send-new-view': 'leading the next view',
  'send-committed': 'serving',
  'send-partitions': 'serving a state',
  'send-history': 'serving a state',
  sync: 'load',
  commit: 'load',
  checkpoint: 'load',
  cut: 'load',
  install: 'losing the database',
  'new-view': 'losing the primary',
}

type Occasion =
  | 'load'
  | 'leading'
  | 'catching up'
  | 'serving'
  | 'losing the primary'
  | 'leading the next view'
  | 'losing the vote log'
  | 'losing the database'
  | 'serving a state'

const pointsOf = (occasion: Occasion): Failpoint[] =>
  FAILPOINTS.filter((point) => OCCASIONS[point.replace(/^(before|after)-/, '') as FailpointDeed] === occasion)

let cluster: RecoveryCluster

beforeAll(async () => {
  cluster = await RecoveryCluster.start()
})
afterAll(() => cluster?.close())

const primary = async (): Promise<number> => {
  const reports = await cluster.until('those that run agree on a view', async () => {
    const all = await cluster.reports()
    const views = new Set(all.map(({ view }) => view))
    return all.length === cluster.running.length && views.size === 1 ? all : undefined
  })
  return reports[0]?.primary ?? 0
}
const nextTo = (id: number, steps = 1): number => (id + steps) % cluster.replicas.length

async function diesArmed(id: number): Promise<void> {
  const { exit } = await cluster.untilDied(id)
  expect(exit.signal).toBe('SIGKILL')
}

/** It died where it was told to; comes back, and the cluster goes on with all of it. */
async function recovers(id: number): Promise<void> {
  await diesArmed(id)
  await cluster.heal()
}

/** Others come back late, one after the other, until one asks the armed replica for what it lacks. */
async function diesServing(point: Failpoint, lose: (late: number) => Promise<void> = async () => {}) {
  // Who fetches a state begins with the lowest id.
  const victim = 0
  await cluster.arm(victim, point)
  const others = cluster.replicas.filter((id) => id !== victim)
  await cluster.level(victim)
  for (let turn = 0; cluster.running.includes(victim) && turn < TURNS_MAX; turn++) {
    const late = others[turn % others.length] ?? 0
    await cluster.kill(late)
    await lose(late)
    await cluster.advance(CHECKPOINT_INTERVAL, victim)
    await cluster.startReplica(late)
    await cluster.level(victim)
  }
  await recovers(victim)
}
const TURNS_MAX = 6

describe('[D1] [D4] a crash at each point alone', () => {
  test('every point has its occasion here', () => {
    const listed = new Set(Object.values(OCCASIONS).flatMap(pointsOf))
    expect([...listed].sort()).toEqual([...FAILPOINTS].sort())
  })

  // Each start is the recovery from the crash before it.
  test.each(pointsOf('load'))('under load: %s', async (point) => {
    const victim = nextTo(await primary())
    await cluster.arm(victim, `${point}@3`)
    await diesArmed(victim)
  })

  test('and comes back from the last of them', async () => {
    await cluster.heal()
  })

  describe('with everybody else well', () => {
    beforeEach(async () => {
      // Some let it rest.
      cluster.load.resume()
      await cluster.heal()
    })

    test.each(pointsOf('leading'))('the primary: %s', async (point) => {
      // Armed as a backup, it leads once the primary is gone.
      const first = await primary()
      const victim = nextTo(first)
      await cluster.arm(victim, `${point}@5`)
      await cluster.level()
      await cluster.kill(first)
      await recovers(victim)
    })

    test.each(pointsOf('catching up'))('catching up by messages: %s', async (point) => {
      const victim = nextTo(await primary())
      await cluster.settle()
      const { lastExecuted: last } = await cluster.report(victim)
      await cluster.kill(victim)
      // Past a checkpoint, what it misses are no votes any more [CP3]; a window behind, only a state would help [CP4].
      await cluster.until('a checkpoint is missed', async () => {
        cluster.load.resume()
        await cluster.load.pause()
        return (await cluster.highest()) >= last + CHECKPOINT_INTERVAL ? true : undefined
      })
      await cluster.startReplica(victim, { failpoint: point }).catch(() => undefined)
      await recovers(victim)
    })

    test.each(pointsOf('serving'))('helping another one to catch up: %s', (point) => diesServing(point))

    test.each(pointsOf('serving a state'))('serving a state: %s', (point) =>
      diesServing(point, (late) => cluster.wipeDatabase(late)),
    )

    test.each([...pointsOf('losing the primary'), ...pointsOf('leading the next view')])(
      'in a view change: %s',
      async (point) => {
        const first = await primary()
        const victim = nextTo(first)
        await cluster.arm(victim, point)
        // One that waited too long for a machine that stood still asks for a view by itself: it passes there, too.
        await cluster.level(victim)
        if (cluster.running.includes(victim)) await cluster.kill(first)
        await recovers(victim)
      },
    )

    test.each(pointsOf('losing the database'))('fetching a state: %s', async (point) => {
      const victim = nextTo(await primary())
      await cluster.kill(victim)
      await cluster.wipeDatabase(victim)
      await cluster.advance(4 * CHECKPOINT_INTERVAL)
      await cluster.startReplica(victim, { failpoint: point })
      await recovers(victim)
    })

    test.each(pointsOf('losing the vote log'))('coming back without a vote log: %s', async (point) => {
      const victim = nextTo(await primary())
      await cluster.kill(victim)
      await cluster.wipeVotes(victim)
      await cluster.startReplica(victim, { failpoint: point }).catch(() => undefined)
      await recovers(victim)
    })
  })

  test('nothing that a caller was told is lost, and all databases are equal', async () => {
    expect(await cluster.audit()).toEqual([])
  })
})
