import { describe, expect, test } from 'vitest'
import { Harness } from '../scenarios/harness.ts'
import { CLIENTS } from '../scenarios/parties.ts'
import { batch, prePrepare, sent, told, transfer, vote } from './fixture.ts'

/** What Castro & Liskov, "Practical Byzantine Fault Tolerance" (OSDI '99), say of the normal case, by section. */

describe('section 4.1, the client', () => {
  test('[NC5] replicas discard requests whose timestamp is lower than that of the last reply they sent', () => {
    const cluster = new Harness()
    cluster.request(transfer(7), [0])
    cluster.deliver()
    cluster.request(transfer(6), [0])
    cluster.deliver()
    expect(cluster.executed()).toEqual([1, 1, 1, 1])
    expect(told(cluster, 0, 'reply').at(-1)).toContain('superseded by 7')
  })

  test('[NC5] a request that was processed already gets the reply again: replicas remember the last one', () => {
    const cluster = new Harness()
    cluster.request(transfer(7), [0])
    cluster.deliver()
    cluster.request(transfer(7), [0, 1, 2, 3])
    for (const { id } of cluster.nodes) {
      const [first, second, ...rest] = told(cluster, id, 'reply')
      expect([first, rest]).toEqual([second, []])
    }
    expect(cluster.executed()).toEqual([1, 1, 1, 1])
  })

  test('[NC2] a backup relays the request to the primary', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [2])
    expect(sent(cluster, 'request')).toEqual([[2, 0]])
  })
})

describe('section 4.2, pre-prepare', () => {
  test('[NC2] the primary assigns a sequence number and multicasts a PRE-PREPARE to all backups', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    expect(sent(cluster, 'pre-prepare')).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
    ])
  })

  test('[NC3] a backup that accepts it enters the prepare phase by multicasting a PREPARE to all others', () => {
    const cluster = new Harness()
    cluster.receive(CLIENTS.alice, 0, transfer(1))
    cluster.deliver({ type: 'pre-prepare', to: [2] })
    expect(sent(cluster, 'prepare')).toEqual([
      [2, 0],
      [2, 1],
      [2, 3],
    ])
  })

  test('[NC3] otherwise it does nothing', () => {
    const cluster = new Harness({ k: 2 })
    const good = batch(1)
    const refused = [
      prePrepare(good, { n: 1, v: 4 }),
      prePrepare(good, { n: 0 }),
      prePrepare(good, { n: 5 }),
      prePrepare(good, { n: 1 }, 2),
      { ...prePrepare(batch(2), { n: 1 }), batch: good },
    ]
    for (const message of refused) cluster.receive(cluster.node(0).id, 1, message)
    expect(sent(cluster, 'prepare')).toEqual([])
    expect(cluster.node(1).disk.all).toEqual([])
  })
})

describe('section 4.2, prepare', () => {
  test('[NC4] prepared: PRE-PREPARE and 2f PREPAREs of different backups that match it', () => {
    const cluster = new Harness({ n: 7 })
    const proposed = batch(1)
    const from = (id: number) => cluster.node(id).id
    cluster.receive(from(0), 1, prePrepare(proposed, { n: 1 }))
    for (const id of [2, 3, 3, 2]) cluster.receive(from(id), 1, vote('prepare', proposed, { n: 1 }, id))
    cluster.receive(from(4), 1, vote('prepare', batch(2), { n: 1 }, 4))
    expect(told(cluster, 1, 'prepared')).toEqual([])
    cluster.receive(from(5), 1, vote('prepare', proposed, { n: 1 }, 5))
    expect(told(cluster, 1, 'prepared')).toHaveLength(1)
  })

  test('[NC4] no two batches are prepared at one number of a view, however the faulty primary and backup try', () => {
    const cluster = new Harness()
    const [one, other] = [batch(1), batch(2)]
    const say = (from: number, to: number[], message: ReturnType<typeof vote>) => {
      for (const id of to) cluster.receive(cluster.node(from).id, id, message)
    }
    // r0 is the primary and equivocates between r1 and r2; both hear a PREPARE for their batch of the liar's fellow.
    say(0, [1], prePrepare(one, { n: 1 }))
    say(0, [2], prePrepare(other, { n: 1 }))
    say(3, [1], vote('prepare', one, { n: 1 }, 3))
    expect(told(cluster, 1, 'prepared')).toHaveLength(1)
    cluster.deliver({ from: [1, 2] })
    // With f = 1 of them faulty, r3 does not say both.
    expect(told(cluster, 2, 'prepared')).toEqual([])
  })

  test('[NC4] prepared, it multicasts a COMMIT to the others', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.deliver({ type: 'pre-prepare' })
    cluster.deliver({ type: 'prepare', to: [3] })
    expect(sent(cluster, 'commit')).toEqual([
      [3, 0],
      [3, 1],
      [3, 2],
    ])
  })
})

describe('section 4.2, commit', () => {
  test('[NC4] committed-local: 2f+1 COMMITs, possibly with its own, that match the PRE-PREPARE', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.deliver({ type: 'pre-prepare' })
    cluster.deliver({ type: 'prepare' })
    cluster.deliverOne({ type: 'commit', to: [1], from: [0] })
    expect(told(cluster, 1, 'committed')).toEqual([])
    cluster.deliverOne({ type: 'commit', to: [1], from: [2] })
    expect(told(cluster, 1, 'committed')).toHaveLength(1)
  })

  test('[NC4] committed-local at one means prepared at f+1 correct replicas, on their disks [D1]', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.deliver({}, () => cluster.nodes.some(({ id }) => told(cluster, id, 'committed').length > 0))
    const prepared = cluster.nodes.filter(({ disk }) => disk.durable.some(({ kind }) => kind === 'prepared'))
    expect(prepared.length).toBeGreaterThanOrEqual(2)
  })

  test('[NC5] each replica executes in sequence order, though it may commit out of order', () => {
    const cluster = new Harness()
    for (const lane of [0, 1, 2]) cluster.request(transfer(1, { lane }), [0])
    cluster.deliver({ type: 'pre-prepare' })
    cluster.deliver({ type: 'prepare' })
    for (const n of [3, 2, 1]) cluster.deliver({ type: 'commit', n })
    const numbers = (lines: string[]) => lines.map((text) => /n=(\d+)/.exec(text)?.[1])
    expect(numbers(told(cluster, 2, 'committed'))).toEqual(['3', '2', '1'])
    expect(numbers(told(cluster, 2, 'executed'))).toEqual(['1', '2', '3'])
  })

  test('[NC6] every replica replies to the client itself', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.deliver()
    for (const { id } of cluster.nodes) {
      expect(told(cluster, id, 'reply')).toEqual(['-> alice#0/1 transferred'])
    }
  })

  test('messages may be lost, delayed, duplicated or out of order: what is asked for again comes (section 2)', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.network.drop({ to: [1] })
    cluster.network.duplicate({})
    cluster.deliver({ type: 'pre-prepare' })
    cluster.network.drop({ from: [2] })
    cluster.network.reverse()
    cluster.settle()
    expect(cluster.executed()).toEqual([1, 1, 1, 1])
  })
})
