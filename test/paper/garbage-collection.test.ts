import { describe, expect, test } from 'vitest'
import { Harness } from '../scenarios/harness.ts'
import { sent, told, transfer } from './fixture.ts'

/** Castro & Liskov (OSDI '99), section 4.3. */

/** `count` requests, one batch each, delivered but for CHECKPOINTs. */
function load(cluster: Harness, count: number, first = 1): void {
  for (let number = first; number < first + count; number++) {
    cluster.request(transfer(number, { lane: number % 4 }), [0])
    for (const type of ['pre-prepare', 'prepare', 'commit'] as const) cluster.deliver({ type })
  }
}

describe('section 4.3, garbage collection', () => {
  test('[CP1] a CHECKPOINT when a number divisible by K was executed, multicast to the others', () => {
    const cluster = new Harness({ k: 3 })
    load(cluster, 2)
    expect(sent(cluster, 'checkpoint')).toEqual([])
    load(cluster, 1, 3)
    const everyPair = [0, 1, 2, 3].flatMap((from) => [0, 1, 2, 3].map((to) => [from, to]))
    expect(sent(cluster, 'checkpoint').sort()).toEqual(everyPair.filter(([from, to]) => from !== to))
  })

  test('[CP1] 2f+1 of them, possibly with its own, prove it: until then messages are kept', () => {
    const cluster = new Harness({ k: 3 })
    load(cluster, 3)
    const slots = () => cluster.node(1).core?.position.slots
    cluster.deliverOne({ type: 'checkpoint', to: [1], from: [2] })
    expect([slots(), told(cluster, 1, 'stable')]).toEqual([3, []])
    cluster.deliverOne({ type: 'checkpoint', to: [1], from: [3] })
    expect([slots(), told(cluster, 1, 'stable')]).toEqual([0, ['stable n=3']])
  })

  test('[CP1] h is the last stable checkpoint, H = h + L with L = 2K: the primary goes no further', () => {
    const cluster = new Harness({ k: 2, inFlightMax: 64 })
    load(cluster, 6)
    expect(cluster.executed()).toEqual([4, 4, 4, 4])
    cluster.deliver()
    // What had to wait shares a batch [NC2].
    expect(cluster.executed()).toEqual([5, 5, 5, 5])
    expect(told(cluster, 0, 'reply')).toHaveLength(6)
    expect(cluster.nodes.map(({ core }) => core?.position.lowWaterMark)).toEqual([4, 4, 4, 4])
  })

  test('[CP1] the proof is in the log, so that it survives a restart', () => {
    const cluster = new Harness({ k: 2 })
    load(cluster, 2)
    cluster.deliver()
    cluster.crash(1)
    cluster.restart(1)
    expect(cluster.node(1).core?.position).toMatchObject({ lowWaterMark: 2, lastExecuted: 2 })
    const stable = cluster.node(1).disk.durable.find(({ kind }) => kind === 'stable')
    expect(stable).toMatchObject({ checkpoints: { length: 3 } })
  })
})
