import { describe, expect, test } from 'vitest'
import { StoreError } from '../../../db/store.ts'
import type { LedgerEntry, Partition } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import { type Digest, replicaId, seq } from '../../../protocol/types.ts'
import type { Event } from '../../../replica/core/event.ts'
import { Executor } from '../../../replica/runtime/executor.ts'
import { StateWork } from '../../../replica/runtime/state-work.ts'
import { chainOf, eventsOf, FakeStore, K, lastRun, turn } from './fake-store.ts'

const ROOT = '' as Partition
const ROWS = { kind: 'rows', rows: new Uint8Array(0) } as const
const TAMPERED = new StoreError('tampered', 'somebody changed it', {
  rows: [{ table: 'accounts', key: 'A', column: 'balance', expected: '1', found: '2' }],
})
const entryAt = (n: number): LedgerEntry => ({
  seq: seq(n),
  previous: chainOf(n - 1),
  batchDigest: chainOf(n),
  repliesDigest: chainOf(n),
  transfers: new Uint8Array(0),
})

function stateOf(lastExecuted = 0) {
  const store = new FakeStore()
  store.lastExecuted = lastExecuted
  const said = eventsOf()
  const points: string[] = []
  const executor = new Executor({
    store,
    lastExecuted: seq(lastExecuted),
    intervals: { checkpointInterval: K, logWindow: 2 * K },
    reopen: async () => undefined,
    failpoint: (point) => points.push(point),
    events: {
      ...said.events,
      onDisconnected: (error) => {
        said.events.onDisconnected(error)
        state.onDisconnected()
      },
    },
  })
  const state: StateWork = new StateWork({
    store,
    executor,
    onEvent: said.events.onEvent,
    guard: (work) => void work.catch((error: Error) => said.fatal.push(error)),
    failpoint: (point) => points.push(point),
  })
  const give = (...seqs: number[]) => {
    for (const n of seqs) executor.execute({ seq: seq(n), batch: NULL_BATCH })
  }
  const begin = (n: number, rescan = false) =>
    state.perform({ type: 'begin-transfer', seq: seq(n), stateRoot: chainOf(1), chain: chainOf(n), rescan })
  return { store, executor, state, give, begin, points, ...said }
}

const namesOf = (events: readonly Event[]) => events.map(({ type }) => type)

describe('[CP3] holding states', () => {
  test('by itself at a multiple of K, before the next run; execution does not wait for the root', async () => {
    const { store, give, all } = stateOf()
    const root = Promise.withResolvers<Digest>()
    store.root = root.promise
    give(1, 2, 3, 4, 5)
    lastRun(store).resolve()
    await turn()
    lastRun(store).resolve()
    await turn()
    expect(store.calls).toEqual(['take 4'])
    expect(lastRun(store).seqs).toEqual([5])
    expect(namesOf(all)).not.toContain('checkpoint-taken')
    root.resolve(chainOf(0xabc))
    await turn()
    expect(all.at(-1)).toEqual({
      type: 'checkpoint-taken',
      seq: 4,
      stateRoot: chainOf(0xabc),
      chain: chainOf(4),
    })
  })

  test('the next run waits until the snapshot exists', async () => {
    const { store, give } = stateOf(3)
    const exists = Promise.withResolvers<void>()
    const take = store.takeCheckpoint.bind(store)
    store.takeCheckpoint = async () => {
      await exists.promise
      return take()
    }
    give(4, 5)
    lastRun(store).resolve()
    await turn()
    expect(store.runs.map(({ seqs }) => seqs)).toEqual([[4]])
    exists.resolve()
    await turn()
    expect(store.runs.map(({ seqs }) => seqs)).toEqual([[4], [5]])
  })

  test.each([
    [8, ['take 8']],
    [9, []],
    [0, []],
  ])('at the start, where the database stands at %i', async (lastExecuted, calls) => {
    const { store, executor } = stateOf(lastExecuted)
    executor.start()
    await turn()
    expect(store.calls).toEqual(calls)
  })

  test('on demand, behind the run under way', async () => {
    const { store, state, give, all } = stateOf()
    give(1)
    state.perform({ type: 'take-checkpoint' })
    expect(store.calls).toEqual([])
    lastRun(store).resolve()
    await turn()
    expect(store.calls).toEqual(['take 1'])
    expect(namesOf(all)).toEqual(['executed', 'checkpoint-taken'])
  })

  test('a root that its connection took away is lost; the replica goes on', async () => {
    const { store, give, all, fatal } = stateOf(3)
    store.root = Promise.reject(new StoreError('unavailable', 'gone'))
    give(4)
    lastRun(store).resolve()
    await turn()
    expect(namesOf(all)).toEqual(['executed', 'checkpoints-lost'])
    expect(fatal).toEqual([])
    give(5)
    expect(lastRun(store).seqs).toEqual([5])
  })

  test('reads wait for nothing', async () => {
    const { store, state, give, all } = stateOf()
    give(1)
    state.perform({
      type: 'read-partitions',
      reader: replicaId(2),
      seq: seq(4),
      partitions: [ROOT],
      bytesMax: 9,
    })
    state.perform({ type: 'read-history', reader: replicaId(2), upTo: seq(4), bytesMax: 9 })
    await turn()
    expect(store.calls).toEqual(['partitions 4', 'history 4'])
    expect(all).toEqual([
      { type: 'partitions-read', reader: 2, seq: 4, nodes: [{ partition: ROOT, node: ROWS }] },
      { type: 'history-read', reader: 2, upTo: 4, entries: [] },
    ])
  })
})

describe('[CP4] a transfer', () => {
  test('drops what waits, lets the run under way end, and installs', async () => {
    const { store, state, give, begin, all, points } = stateOf()
    give(1)
    give(2)
    begin(8)
    give(2, 3)
    lastRun(store).resolve()
    await turn()
    state.perform({ type: 'stage-partition', partition: ROOT, node: ROWS })
    state.perform({ type: 'stage-history', entries: [entryAt(8), entryAt(7)] })
    state.perform({ type: 'install-transfer' })
    await turn()
    expect(store.runs).toHaveLength(1)
    expect(store.calls).toEqual(['begin 8', 'stage ', 'stage-history', 'install 8', 'take 8'])
    expect(namesOf(all)).toEqual([
      'executed',
      'transfer-begun',
      'partition-staged',
      'history-staged',
      'state-installed',
      'checkpoint-taken',
    ])
    expect(all[3]).toEqual({ type: 'history-staged', lowest: 7, isComplete: true })
    expect(all[4]).toMatchObject({ database: { lastExecuted: 8, checkpoint: { seq: 8 } }, repaired: [] })
    expect(points.filter((point) => /install|checkpoint/.test(point))).toEqual([
      'before-install',
      'after-install',
      'before-checkpoint',
      'after-checkpoint',
    ])
    give(9)
    expect(lastRun(store).seqs).toEqual([9])
  })

  test('cancelled: goes on behind what the database has', async () => {
    const { store, state, give, begin } = stateOf()
    give(1)
    begin(8)
    state.perform({ type: 'cancel-transfer' })
    give(2)
    lastRun(store).resolve()
    await turn()
    expect(store.calls).toEqual(['begin 8', 'cancel'])
    expect(lastRun(store).seqs).toEqual([2])
  })

  test('a lost connection ends it: what comes of it afterwards is not staged', async () => {
    const { store, state, give, begin, all } = stateOf(5)
    begin(8)
    await turn()
    store.failures.set('stage', new StoreError('unavailable', 'gone'))
    state.perform({ type: 'stage-partition', partition: ROOT, node: ROWS })
    await turn()
    state.perform({ type: 'stage-history', entries: [entryAt(8)] })
    state.perform({ type: 'install-transfer' })
    await turn()
    expect(store.calls).toEqual(['begin 8', 'stage '])
    expect(namesOf(all)).toEqual(['transfer-begun', 'checkpoints-lost', 'database-connected'])
    give(6)
    expect(lastRun(store).seqs).toEqual([6])
  })
})

describe('[CP6] a row that was changed behind the replica’s back', () => {
  test('is named, and nothing is executed until a state was installed', async () => {
    const { store, state, give, begin, all, fatal } = stateOf()
    give(1)
    give(2, 3)
    lastRun(store).reject(TAMPERED)
    await turn()
    expect(all).toEqual([{ type: 'rows-mismatched', rows: TAMPERED.rows }])
    give(1, 2)
    begin(8, true)
    state.perform({ type: 'cancel-transfer' })
    give(1)
    await turn()
    expect(store.runs).toHaveLength(1)
    begin(8, true)
    state.perform({ type: 'install-transfer' })
    await turn()
    give(9)
    expect(lastRun(store).seqs).toEqual([9])
    expect(fatal).toEqual([])
  })
})
