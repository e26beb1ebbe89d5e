import { describe, expect, test, vi } from 'vitest'
import { ProvisionError } from '../../../db/provision/types.ts'
import { StoreError } from '../../../db/store.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import { seq } from '../../../protocol/types.ts'
import { Executor } from '../../../replica/runtime/executor.ts'
import { chainOf, eventsOf, FakeStore, K, lastRun, turn } from './fake-store.ts'

function executorOf(lastExecuted = 0, options: { readonly reopen?: () => Promise<void> } = {}) {
  const store = new FakeStore()
  store.lastExecuted = lastExecuted
  const said = eventsOf()
  const executor = new Executor({
    store,
    lastExecuted: seq(lastExecuted),
    intervals: { checkpointInterval: K, logWindow: 2 * K },
    events: said.events,
    reopen: options.reopen ?? (async () => undefined),
  })
  const give = (...seqs: number[]) => {
    for (const n of seqs) executor.execute({ seq: seq(n), batch: NULL_BATCH })
  }
  return { store, executor, give, ...said }
}

describe('[D3] runs', () => {
  test('what waits meanwhile is the next run, and reports come in order', async () => {
    const { store, executed, give } = executorOf()
    give(1)
    give(2, 3)
    expect(store.runs.map(({ seqs }) => seqs)).toEqual([[1]])
    lastRun(store).resolve()
    await turn()
    expect(executed).toEqual([1])
    expect(store.runs.map(({ seqs }) => seqs)).toEqual([[1], [2, 3]])
    lastRun(store).resolve()
    await turn()
    expect(executed).toEqual([1, 2, 3])
  })

  test('[D4] none crosses a multiple of K, and only one that ends there is durable', async () => {
    const { store, give } = executorOf()
    give(1, 2, 3, 4, 5, 6, 7, 8, 9)
    for (let i = 0; i < 4; i++) {
      lastRun(store).resolve()
      await turn()
    }
    expect(store.runs.map(({ seqs, durable }) => [seqs, durable])).toEqual([
      [[1], false],
      [[2, 3, 4], true],
      [[5, 6, 7, 8], true],
      [[9], false],
    ])
  })

  test('one is bounded', async () => {
    const store = new FakeStore()
    const { events } = eventsOf()
    const reopen = async () => undefined
    const executor = new Executor({
      store,
      lastExecuted: seq(0),
      intervals: { checkpointInterval: 1_000, logWindow: 2_000 },
      events,
      reopen,
    })
    for (let n = 1; n <= 100; n++) executor.execute({ seq: seq(n), batch: NULL_BATCH })
    lastRun(store).resolve()
    await turn()
    expect(lastRun(store).seqs).toEqual(Array.from({ length: 32 }, (_, i) => i + 2))
  })
})

describe('[D4] a lost connection', () => {
  test.each(['unavailable', 'reconcile'] as const)(
    '%s: connects again and says where the database is',
    async (code) => {
      const { store, connected, disconnected, executed, fatal, give, executor } = executorOf()
      give(1, 2)
      lastRun(store).resolve()
      await turn()
      store.lastExecuted = 5
      lastRun(store).reject(new StoreError(code, 'gone'))
      await turn()
      expect(disconnected).toEqual([code])
      expect(connected).toEqual([
        {
          lastExecuted: 5,
          chain: chainOf(5),
          recent: [1, 2, 3, 4, 5].map((n) => ({ seq: n, batchDigest: chainOf(n) })),
          checkpoint: { seq: 4, chain: chainOf(4) },
          lanes: [],
          incarnations: [],
        },
      ])
      expect(executed).toEqual([1])
      expect(fatal).toEqual([])
      expect(executor.connected).toBe(true)
    },
  )

  test('what was queued, or is handed out before the core heard, is not executed; what comes again is', async () => {
    const { store, give } = executorOf()
    give(1)
    give(2, 3)
    lastRun(store).reject(new StoreError('unavailable', 'gone'))
    give(4)
    await turn()
    expect(store.runs).toHaveLength(1)
    // The core has not seen 'database-connected' yet.
    give(5)
    expect(store.runs).toHaveLength(1)
    give(1)
    expect(store.runs.map(({ seqs }) => seqs)).toEqual([[1], [1]])
  })

  test('it is tried again, later and later', async () => {
    vi.useFakeTimers()
    try {
      const { store, connected, give } = executorOf()
      store.connectErrors = [1, 2, 3].map(() => new StoreError('unavailable', 'still gone'))
      give(1)
      lastRun(store).reject(new StoreError('unavailable', 'gone'))
      await vi.advanceTimersByTimeAsync(0)
      expect(store.connects).toBe(1)
      await vi.advanceTimersByTimeAsync(50)
      expect(store.connects).toBe(2)
      await vi.advanceTimersByTimeAsync(99)
      expect(store.connects).toBe(2)
      await vi.advanceTimersByTimeAsync(1)
      expect(store.connects).toBe(3)
      expect(connected).toEqual([])
      await vi.advanceTimersByTimeAsync(200)
      expect(connected).toHaveLength(1)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a database that takes connections and no batch is not connected to all the time', async () => {
    vi.useFakeTimers()
    try {
      const { store, give } = executorOf()
      for (const [waitMs, connects] of [
        [0, 1],
        [50, 2],
        [100, 3],
      ] as const) {
        give(1)
        lastRun(store).reject(new StoreError('unavailable', 'its disk is full'))
        await vi.advanceTimersByTimeAsync(Math.max(0, waitMs - 1))
        expect(store.connects).toBe(waitMs === 0 ? 1 : connects - 1)
        await vi.advanceTimersByTimeAsync(1)
        expect(store.connects).toBe(connects)
      }
      give(1)
      lastRun(store).resolve()
      await vi.advanceTimersByTimeAsync(0)
      give(2)
      lastRun(store).reject(new StoreError('unavailable', 'gone'))
      await vi.advanceTimersByTimeAsync(0)
      expect(store.connects).toBe(4)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a server that cannot be started now is tried again; another mistake stops the replica', async () => {
    vi.useFakeTimers()
    try {
      const errors: Error[] = [new ProvisionError('failed', 'no room'), new TypeError('oops')]
      const { store, give, fatal, connected } = executorOf(0, {
        reopen: async () => {
          const error = errors.shift()
          if (error !== undefined) throw error
        },
      })
      give(1)
      lastRun(store).reject(new StoreError('unavailable', 'gone'))
      await vi.advanceTimersByTimeAsync(0)
      expect(fatal).toEqual([])
      await vi.advanceTimersByTimeAsync(50)
      expect(fatal).toMatchObject([{ message: 'oops' }])
      expect(connected).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  test('reads meanwhile have no answer', async () => {
    const { store, executor, give } = executorOf()
    store.connectErrors = Array.from({ length: 50 }, () => new StoreError('unavailable', 'gone'))
    give(1)
    lastRun(store).reject(new StoreError('unavailable', 'gone'))
    await turn()
    expect(executor.connected).toBe(false)
    expect(await executor.read(['a'], seq(0))).toBeUndefined()
    await executor.close()
  })
})

describe('what nobody can mend', () => {
  test.each(['broken', 'locked', 'foreign'] as const)('%s stops the replica', async (code) => {
    const { store, fatal, connected, give } = executorOf()
    give(1, 2)
    lastRun(store).reject(new StoreError(code, 'bad'))
    await turn()
    expect(fatal).toMatchObject([{ code }])
    expect(connected).toEqual([])
    give(3)
    expect(store.runs).toHaveLength(1)
  })

  test('also when it shows on reconnecting', async () => {
    const { store, fatal, give } = executorOf()
    store.connectErrors = [new StoreError('foreign', 'another cluster’s')]
    give(1)
    lastRun(store).reject(new StoreError('unavailable', 'gone'))
    await turn()
    expect(fatal).toMatchObject([{ code: 'foreign' }])
  })

  test('an error of our own', async () => {
    const { store, fatal, give } = executorOf()
    give(1)
    lastRun(store).reject(new TypeError('oops'))
    await turn()
    expect(fatal).toMatchObject([{ message: 'oops' }])
  })
})

describe('[NC7] reads', () => {
  test('from a state that is new enough', async () => {
    const { executor } = executorOf(7)
    expect(await executor.read(['a'], seq(7))).toEqual([])
    expect(await executor.read(['a'], seq(8))).toBeUndefined()
  })

  test('a connection lost meanwhile is no answer; anything else is an error', async () => {
    const { executor, store } = executorOf()
    store.readError = new StoreError('broken', 'bad')
    await expect(executor.read(['a'], seq(0))).rejects.toMatchObject({ code: 'broken' })
    store.readError = new StoreError('unavailable', 'gone')
    expect(await executor.read(['a'], seq(0))).toBeUndefined()
  })

  test('[D4] an idle replica whose read finds the database gone connects again', async () => {
    const { executor, store, connected, disconnected } = executorOf()
    store.readError = new StoreError('unavailable', 'gone')
    await executor.read(['a'], seq(0))
    await turn()
    expect(disconnected).toHaveLength(1)
    expect(connected).toHaveLength(1)
    expect(executor.connected).toBe(true)
  })
})

test('close: a run under way that fails then is nobody’s business', async () => {
  const { executor, store, fatal, disconnected, give } = executorOf()
  give(1)
  await executor.close()
  lastRun(store).reject(new StoreError('broken', 'closed'))
  await turn()
  expect(store.closed).toBe(true)
  expect(fatal).toEqual([])
  expect(disconnected).toEqual([])
})
