import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHECKPOINT_INTERVAL, RecoveryCluster } from './recovery/cluster.ts'

let cluster: RecoveryCluster

beforeAll(async () => {
  cluster = await RecoveryCluster.start()
})
afterAll(() => cluster?.close())

const losePower = () => cluster.live.losePower(cluster.replicas)

const startAll = (ids: readonly number[] = cluster.replicas) =>
  Promise.all(ids.map((id) => cluster.startReplica(id)))

describe('[D1] [D4] all lose power together', () => {
  test.each([1, 2, 3])('under load, time %i: nothing that was answered is lost', async () => {
    const before = cluster.load.answered
    await cluster.advance(2 * CHECKPOINT_INTERVAL + 3)
    await losePower()
    await startAll()
    expect(await cluster.audit()).toEqual([])
    expect(cluster.load.answered).toBeGreaterThan(before)
  })

  test('[CP4] idle, with different stable checkpoints, one dead and one behind: they go on', async () => {
    const [dead, behind, ...others] = cluster.replicas
    if (dead === undefined || behind === undefined) throw new Error('there are four')
    await cluster.kill(behind)
    await cluster.advance(6 * CHECKPOINT_INTERVAL)
    await losePower()
    await startAll([behind, ...others])
    await cluster.advance(CHECKPOINT_INTERVAL)
    await cluster.startReplica(dead)
    expect(await cluster.audit()).toEqual([])
  })
})
