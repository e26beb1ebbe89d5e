import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type RowMismatch, StoreError } from '../../../db/store.ts'
import { seq } from '../../../protocol/types.ts'
import { Executor } from '../../../replica/runtime/executor.ts'
import { SCRUB_LOOKS, Scrubber } from '../../../replica/runtime/scrubber.ts'
import { eventsOf, FakeStore, K } from './fake-store.ts'

const INTERVAL_MS = 1_000
const ROW: RowMismatch = { table: 'accounts', key: 'A', column: 'balance', expected: '1', found: '2' }
const LOOK = `scrub ${1 / SCRUB_LOOKS}`

function scrubberOf() {
  const store = new FakeStore()
  const said = eventsOf()
  const found: RowMismatch[] = []
  const executor = new Executor({
    store,
    lastExecuted: seq(5),
    intervals: { checkpointInterval: K, logWindow: 2 * K },
    reopen: async () => undefined,
    events: {
      ...said.events,
      onDisconnected: (error) => {
        said.events.onDisconnected(error)
        scrubber.onDisconnected()
      },
    },
  })
  const scrubber: Scrubber = new Scrubber({
    store,
    executor,
    intervalMs: INTERVAL_MS,
    onMismatched: (rows) => found.push(...rows),
    guard: (work) => void work.catch((error: Error) => said.fatal.push(error)),
  })
  return { store, executor, scrubber, found, ...said }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('[CP6] looks once per checkpoint, one look at a time, and names what it finds', async () => {
  const { store, scrubber, found } = scrubberOf()
  const mismatches = Promise.withResolvers<readonly RowMismatch[]>()
  store.mismatches = mismatches.promise
  scrubber.look()
  scrubber.look()
  await vi.advanceTimersByTimeAsync(0)
  expect(store.calls).toEqual([LOOK])
  mismatches.resolve([ROW])
  await vi.advanceTimersByTimeAsync(0)
  expect(found).toEqual([ROW])
  scrubber.look()
  await vi.advanceTimersByTimeAsync(0)
  expect(store.calls).toEqual([LOOK, LOOK])
  scrubber.stop()
})

test('[CP6] looks in each interval without a checkpoint', async () => {
  const { store, scrubber } = scrubberOf()
  await vi.advanceTimersByTimeAsync(INTERVAL_MS)
  expect(store.calls).toEqual([LOOK])
  scrubber.look()
  await vi.advanceTimersByTimeAsync(INTERVAL_MS)
  expect(store.calls).toEqual([LOOK, LOOK])
  await vi.advanceTimersByTimeAsync(INTERVAL_MS)
  expect(store.calls).toEqual([LOOK, LOOK, LOOK])
  scrubber.stop()
  await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS)
  expect(store.calls).toHaveLength(3)
})

test('[CP6] a look that the connection ended is made again', async () => {
  const { store, scrubber, disconnected, fatal } = scrubberOf()
  store.failures.set('scrub', new StoreError('unavailable', 'gone'))
  scrubber.look()
  await vi.advanceTimersByTimeAsync(0)
  expect(disconnected).toEqual(['unavailable'])
  scrubber.look()
  await vi.advanceTimersByTimeAsync(0)
  expect(store.calls).toEqual([LOOK, LOOK])
  expect(fatal).toEqual([])
  scrubber.stop()
})

test('[CP6] intervals that pass while the database is away do not end the looks', async () => {
  const { store, scrubber, executor, disconnected } = scrubberOf()
  store.connectErrors = [new StoreError('unavailable', 'still gone')]
  store.failures.set('scrub', new StoreError('unavailable', 'gone'))
  scrubber.look()
  await vi.advanceTimersByTimeAsync(0)
  expect(disconnected).toEqual(['unavailable'])
  expect(executor.connected).toBe(false)
  scrubber.look()
  await vi.advanceTimersByTimeAsync(10 * INTERVAL_MS)
  expect(executor.connected).toBe(true)
  const before = store.calls.filter((call) => call === LOOK).length
  await vi.advanceTimersByTimeAsync(2 * INTERVAL_MS)
  expect(store.calls.filter((call) => call === LOOK)).toHaveLength(before + 2)
  expect(before).toBeGreaterThan(1)
  scrubber.stop()
})
