import { describe, expect, test } from 'vitest'
import type { Message } from '../../protocol/messages.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { Harness } from '../scenarios/harness.ts'
import { batch, sent, told, transfer, vote } from './fixture.ts'

/** What Castro & Liskov, "Practical Byzantine Fault Tolerance" (OSDI '99), say of view changes: section 4.4. */

type Of<T extends Message['type']> = Extract<Message, { type: T }>

/** The last message of this type that `from` sent. */
function lastOf<T extends Message['type']>(cluster: Harness, type: T, from: number): Of<T> {
  const message = cluster.network.everSent({ type, from: [from] }).at(-1)
  if (message?.type !== type) throw new Error(`r${from} sent no ${type}`)
  return message as Of<T>
}

/** Every backup holds the request; the primary does nothing with it. */
function stalled(cluster: Harness, number = 1): void {
  cluster.request(
    transfer(number),
    cluster.nodes.filter(({ isUp, id }) => isUp && id !== 0).map(({ id }) => id),
  )
  cluster.network.drop({})
}

const viewOf = (cluster: Harness, id: number) => cluster.node(id).core?.position.view

describe('section 4.4, the time-out', () => {
  test('[NC8] a backup starts a timer when it receives a request and it is not already running', () => {
    const cluster = new Harness()
    expect(cluster.node(1).timers.has('view-change')).toBe(false)
    cluster.request(transfer(1), [1])
    const dueMs = cluster.node(1).timers.get('view-change')
    cluster.nowMs += 100
    cluster.request(transfer(1, { lane: 1 }), [1])
    expect([dueMs, cluster.node(1).timers.get('view-change')]).toEqual([500, 500])
  })

  test('[NC8] it stops it when it no longer waits, but restarts it when it waits for another one then', () => {
    const cluster = new Harness()
    for (const lane of [0, 1]) cluster.request(transfer(1, { lane }), [0, 1, 2, 3])
    cluster.nowMs += 400
    cluster.deliver({ n: 1 })
    cluster.network.drop({})
    cluster.network.block({})
    cluster.elapse(499)
    expect(told(cluster, 1, 'view-change-started')).toEqual([])
    cluster.elapse(1)
    expect(told(cluster, 1, 'view-change-started')).toHaveLength(1)
  })

  test('[VC3] when it expires, the backup stops accepting messages other than those that lead on', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0, 1, 2, 3])
    cluster.expire('view-change', [1])
    cluster.deliver({ type: 'pre-prepare', to: [1] })
    cluster.deliver({ type: 'prepare', to: [1] })
    cluster.receive(cluster.node(2).id, 1, vote('commit', batch(1), { n: 1 }, 2))
    expect(cluster.node(1).disk.all.map(({ kind }) => kind)).toEqual(['view-change'])
  })
})

describe('section 4.4, VIEW-CHANGE', () => {
  test('[VC1] it goes to all, with n, the stable checkpoint’s 2f+1 messages, and P', () => {
    const cluster = new Harness({ k: 2 })
    for (const number of [1, 2, 3]) {
      cluster.request(transfer(number), [0])
      cluster.deliver()
    }
    stalled(cluster, 4)
    cluster.expire('view-change', [2])
    expect(sent(cluster, 'view-change')).toEqual([
      [2, 0],
      [2, 1],
      [2, 3],
    ])
    const message = lastOf(cluster, 'view-change', 2)
    expect(message).toMatchObject({ newView: 1, lowWaterMark: 2, replica: 2 })
    expect(message.checkpoints.map(({ seq }) => seq)).toEqual([2, 2, 2])
    expect(message.prepared.map(({ header, prepares }) => [header.seq, prepares.length])).toEqual([[3, 2]])
  })

  test('[VC1] P holds what prepared, with a number above n: nothing that was only pre-prepared', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0, 1, 2, 3])
    cluster.deliver({ type: 'pre-prepare' })
    cluster.expire('view-change', [3])
    expect(lastOf(cluster, 'view-change', 3).prepared).toEqual([])
  })
})

describe('section 4.4, NEW-VIEW', () => {
  test('[VC2] the primary of v+1 sends it with 2f valid VIEW-CHANGEs of others and its own', () => {
    const cluster = new Harness()
    stalled(cluster)
    cluster.expire('view-change', [1, 2, 3])
    cluster.deliverOne({ type: 'view-change', from: [2], to: [1] })
    expect(sent(cluster, 'new-view')).toEqual([])
    cluster.deliverOne({ type: 'view-change', from: [3], to: [1] })
    expect(sent(cluster, 'new-view')).toEqual([
      [1, 0],
      [1, 2],
      [1, 3],
    ])
    const names = lastOf(cluster, 'new-view', 1).viewChanges.map(({ replica }) => replica)
    expect(names.sort()).toEqual([1, 2, 3])
  })

  test('[VC2] min-s is the latest stable checkpoint in V, max-s the highest prepared; null in between', () => {
    const cluster = new Harness({ k: 2, n: 4 })
    for (const number of [1, 2]) {
      cluster.request(transfer(number), [0])
      cluster.deliver()
    }
    for (const lane of [1, 2]) cluster.request(transfer(1, { lane }), [0])
    cluster.network.drop({ n: 3 })
    cluster.deliver({ n: 4, type: 'pre-prepare' })
    cluster.deliver({ n: 4, type: 'prepare' })
    stalled(cluster, 3)
    cluster.crash(0)
    cluster.expire('view-change', [1, 2, 3])
    cluster.deliver({ type: 'view-change' })
    const headers = lastOf(cluster, 'new-view', 1).headers
    expect(headers.map(({ seq, view, digest }) => [seq, view, digest])).toEqual([
      [3, 1, NULL_BATCH.digest],
      [4, 1, batch(1, { lane: 2 }).digest],
    ])
  })

  test('[VC2] a backup accepts it when it is signed, valid for v+1, and O is right; then it prepares O', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.deliver({ type: 'pre-prepare' })
    cluster.deliver({ type: 'prepare' })
    cluster.network.drop({})
    cluster.expire('view-change', [1, 2, 3])
    cluster.deliver({ type: 'view-change' })
    cluster.deliver({ type: 'new-view', to: [2] })
    expect(viewOf(cluster, 2)).toBe(1)
    expect(sent(cluster, 'prepare').filter(([from]) => from === 2)).toEqual([
      [2, 0],
      [2, 1],
      [2, 3],
    ])
    const kinds = cluster.node(2).disk.durable.map(({ kind }) => kind)
    expect(kinds.indexOf('new-view')).toBeGreaterThan(kinds.indexOf('view-change'))
  })

  test('[VC6] redone, but not executed again', () => {
    const cluster = new Harness()
    cluster.request(transfer(1), [0])
    cluster.deliver()
    stalled(cluster, 2)
    cluster.expire('view-change', [1, 2, 3])
    cluster.deliver()
    expect(told(cluster, 2, 'executed')).toEqual(['executed n=1', 'executed n=2'])
    expect(told(cluster, 2, 'prepared').map((text) => text.split(' ')[1])).toEqual(['n=1', 'n=1', 'n=2'])
    expect(cluster.executed()).toEqual([2, 2, 2, 2])
  })
})

describe('section 4.5.2, liveness', () => {
  test('[VC4] with 2f+1 VIEW-CHANGEs for v+1 a replica starts its timer; it doubles', () => {
    const cluster = new Harness()
    stalled(cluster)
    cluster.network.block({ type: 'new-view' })
    cluster.expire('view-change', [1, 2, 3])
    const startMs = cluster.nowMs
    cluster.deliver({ type: 'view-change', to: [3] })
    expect(cluster.node(3).timers.get('view-change')).toBe(startMs + 1_000)
    cluster.expire('view-change', [3])
    expect(lastOf(cluster, 'view-change', 3).newView).toBe(2)
  })

  test('[VC5] f+1 VIEW-CHANGEs for greater views: it sends one for the smallest, though its timer runs', () => {
    const cluster = new Harness({ n: 7 })
    stalled(cluster)
    cluster.expire('view-change', [4, 5, 6])
    cluster.deliverOne({ type: 'view-change', from: [4], to: [2] })
    cluster.deliverOne({ type: 'view-change', from: [5], to: [2] })
    expect(told(cluster, 2, 'view-change-started')).toEqual([])
    cluster.deliverOne({ type: 'view-change', from: [6], to: [2] })
    expect(lastOf(cluster, 'view-change', 2).newView).toBe(1)
  })

  test('[NC8] f faulty replicas cannot force a view change, however often they ask', () => {
    const cluster = new Harness({ n: 7 })
    cluster.network.block({ from: [5, 6] })
    for (const id of [5, 6]) {
      cluster.request(transfer(1), [id])
      cluster.expire('view-change', [id])
      const message = lastOf(cluster, 'view-change', id)
      for (const to of [0, 1, 2, 3, 4]) cluster.receive(cluster.node(id).id, to, message)
    }
    cluster.elapse(5_000)
    expect([0, 1, 2, 3, 4].map((id) => viewOf(cluster, id))).toEqual([0, 0, 0, 0, 0])
  })
})
