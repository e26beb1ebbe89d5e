import { describe, expect, test } from 'vitest'
import type { CallId } from '../../../client/effects.ts'
import { UnavailableError } from '../../../client/errors.ts'
import type { ReadValue } from '../../../protocol/operations.ts'
import { seq } from '../../../protocol/types.ts'
import { type Behaviour, FakeCluster } from './fake-cluster.ts'

const LATE = 1_000_000

/** Answers with what `change` makes of the true values. */
const changing =
  (change: (value: ReadValue) => ReadValue): Behaviour =>
  (honest) =>
    honest.type === 'read-reply' ? { ...honest, values: honest.values.map(change) } : honest

const sawVersion = (version: number): Behaviour => changing((value) => ({ ...value, version: seq(version) }))

function open(): FakeCluster {
  const cluster = new FakeCluster()
  cluster.balances.set('A', { balance: 100n, version: 3 })
  cluster.balances.set('B', { balance: 50n, version: 9 })
  return cluster
}

function valuesOf(cluster: FakeCluster, call: CallId): readonly ReadValue[] {
  const answer = cluster.answers.get(call)
  if (answer?.kind !== 'values') throw new Error(`no values: ${cluster.errors.get(call)}`)
  return answer.values
}

const readsSent = (cluster: FakeCluster): number =>
  cluster.sent.filter(({ to, message }) => to === 0 && message.type === 'read').length

describe('[NC7] quorum reads', () => {
  test('[NC7] q equal answers are the answer, in the order asked, without ordering anything', () => {
    const cluster = open()
    const call = cluster.core.read(['B', 'nobody', 'A'], LATE)
    cluster.settle()
    expect(valuesOf(cluster, call)).toEqual([
      { account: 'B', balance: 50n, version: 9 },
      { account: 'nobody', balance: null, version: 0 },
      { account: 'A', balance: 100n, version: 3 },
    ])
    expect(cluster.executed).toEqual([])
    expect(cluster.sent.map(({ to }) => to)).toEqual([0, 1, 2, 3])
    expect(cluster.timers).toEqual(['deadline'])
  })

  test('[NC7] sessions that come up later get what is outstanding: the first READ waits for no retry', () => {
    const cluster = new FakeCluster({}, { sessions: false })
    cluster.balances.set('A', { balance: 100n, version: 3 })
    const call = cluster.core.read(['A'], LATE)
    cluster.settle()
    for (const id of [2, 0, 3]) cluster.sessionUp(id)
    cluster.settle()
    expect(valuesOf(cluster, call)).toEqual([{ account: 'A', balance: 100n, version: 3 }])
    expect(cluster.sent.map(({ to }) => to)).toEqual([2, 0, 3])
  })

  test('[NC7] calls of one turn share a READ', () => {
    const cluster = open()
    const calls = [['A'], ['B', 'A'], ['A']].map((accounts) => cluster.core.read(accounts, LATE))
    cluster.settle()
    expect(readsSent(cluster)).toBe(1)
    expect(calls.map((call) => valuesOf(cluster, call).map(({ balance }) => balance))).toEqual([
      [100n],
      [50n, 100n],
      [100n],
    ])
  })

  test('[NC7] a read starts while another one is in flight', () => {
    const cluster = open()
    cluster.deaf = true
    cluster.core.read(['A'], LATE)
    cluster.flush()
    cluster.core.read(['A'], LATE)
    cluster.flush()
    expect(readsSent(cluster)).toBe(2)
  })

  test('[NC7] f liars cannot change a value, nor block it', () => {
    const lies: Behaviour[] = [
      changing((value) => ({ ...value, balance: 1_000_000n })),
      sawVersion(77),
      changing((value) => ({ ...value, account: 'B' })),
      (honest) => (honest.type === 'read-reply' ? { ...honest, values: [] } : honest),
      (honest) => (honest.type === 'read-reply' ? { ...honest, nonce: honest.nonce + 1 } : honest),
      () => undefined,
    ]
    for (const lie of lies) {
      const cluster = open()
      cluster.behaviours.set(1, lie)
      const call = cluster.core.read(['A'], LATE)
      cluster.settle()
      expect(valuesOf(cluster, call)).toEqual([{ account: 'A', balance: 100n, version: 3 }])
      expect(readsSent(cluster)).toBe(1)
    }
  })

  test('[NC7] equal values of different versions do not agree: one quick retry, then it is ordered', () => {
    const cluster = open()
    cluster.behaviours.set(1, sawVersion(1))
    cluster.behaviours.set(2, sawVersion(2))
    const call = cluster.core.read(['A', 'nobody'], LATE)
    cluster.settle()
    expect(readsSent(cluster)).toBe(2)
    expect(cluster.requests.map(({ operations }) => operations)).toEqual([
      [
        { kind: 'balance', account: 'A' },
        { kind: 'balance', account: 'nobody' },
      ],
    ])
    expect(valuesOf(cluster, call)).toEqual([
      { account: 'A', balance: 100n, version: 3 },
      { account: 'nobody', balance: null, version: 0 },
    ])
  })

  test('[NC7] a row that changes delays only those who asked for it', () => {
    const cluster = open()
    for (const id of [1, 2]) {
      cluster.behaviours.set(
        id,
        changing((value) => (value.account === 'A' ? { ...value, version: seq(id) } : value)),
      )
    }
    const quiet = cluster.core.read(['B'], LATE)
    cluster.core.read(['A', 'B'], LATE)
    cluster.turn()
    expect(cluster.answers.has(quiet)).toBe(true)
    expect(cluster.answers.size).toBe(1)
    cluster.settle()
    expect(cluster.answers.size).toBe(2)
  })

  test('[NC7] answers that stay away: again, then ordered, then unavailable at the deadline', () => {
    const cluster = open()
    for (const id of [1, 2]) cluster.behaviours.set(id, () => undefined)
    const call = cluster.core.read(['A'], cluster.nowMs + 5_000)
    cluster.advance(1_000)
    expect(readsSent(cluster)).toBe(2)
    expect(cluster.observed.filter(({ kind }) => kind === 'read-ordered')).toHaveLength(1)
    cluster.advance(4_000)
    expect(cluster.errors.get(call)).toBeInstanceOf(UnavailableError)
    expect(cluster.timers.filter((timer) => timer.startsWith('read'))).toEqual([])
  })

  test('[NC7] the answer to an earlier nonce is nothing', () => {
    const cluster = open()
    cluster.deaf = true
    const call = cluster.core.read(['A'], LATE)
    cluster.flush()
    cluster.advance(200)
    const [first, ...rest] = cluster.sent.flatMap(({ to, message }) =>
      to === 0 && message.type === 'read' ? [message] : [],
    )
    expect(rest).toHaveLength(1)
    const values = [{ account: 'A', balance: 1n, version: seq(1) }]
    for (const id of [0, 1, 2]) cluster.hear(id, { type: 'read-reply', nonce: first?.nonce ?? 0, values })
    expect(cluster.answers.has(call)).toBe(false)
  })

  test('[NC7] reads are bounded', () => {
    const cluster = new FakeCluster({ queueOperationsMax: 3, requestOperationsMax: 2 })
    expect(() => cluster.core.read(['A', 'B', 'C'], LATE)).toThrow('1 to 2 accounts')
    cluster.core.read(['A', 'B'], LATE)
    expect(() => cluster.core.read(['A', 'B'], LATE)).toThrow('wait to be read')
  })
})
