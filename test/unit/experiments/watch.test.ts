import { expect, test } from 'vitest'
import { highestOf, primaryOf, type Reports, unrestOf, Watch } from '../../../chaos/experiments/watch.ts'
import { reportOf, reportsOf } from './reports.ts'

const all = (...changed: readonly ReturnType<typeof reportOf>[]): Reports =>
  reportsOf(...[0, 1, 2, 3].map((id) => reportOf(id)), ...changed)
const forEver = new AbortController().signal

test('counts are over all lives of a replica, each as it was last seen', async () => {
  const looks = [
    all(reportOf(1, { pid: 7, counters: { 'transfer-installed': 1 }, committed: { proof: 3 } })),
    all(reportOf(1, { pid: 7, counters: { 'transfer-installed': 2 }, committed: { proof: 5, words: 1 } })),
    all(reportOf(1, { pid: 8, view: 2, counters: { 'transfer-installed': 1 }, committed: { votes: 9 } })),
  ]
  const watch = new Watch(async () => looks.shift() ?? all())
  for (let i = 0; i < 4; i++) await watch.look()
  expect(watch.counts).toEqual({ viewChanges: 2, stateTransfers: 3, batchesCaughtUp: 6 })
})

test('waits until it is true, or the time is up', async () => {
  let looks = 0
  const watch = new Watch(async () => all(reportOf(0, { lastExecuted: looks++ })))
  const found = await watch.until((reports) => reports.get(0)?.lastExecuted === 2, {
    withinMs: 5_000,
    signal: forEver,
  })
  expect(found?.get(0)?.lastExecuted).toBe(2)
  expect(await watch.until(() => false, { withinMs: 1, signal: forEver })).toBeUndefined()
})

test('an abort ends the waiting', async () => {
  const watch = new Watch(async () => all())
  await expect(
    watch.until(() => false, { withinMs: 5_000, signal: AbortSignal.abort(new Error('enough')) }),
  ).rejects.toThrow('enough')
})

test('the primary is that of the highest view', () => {
  expect(primaryOf(all(reportOf(2, { view: 3, primary: 3 })))).toBe(3)
  expect(primaryOf(new Map())).toBeUndefined()
  expect(highestOf(all(reportOf(2, { lastExecuted: 12 })))).toBe(12)
})

test('replicas at one state with nothing to do are at rest', () => {
  expect(unrestOf(all(), 4)).toEqual([])
})

test.each([
  { what: reportOf(2, { lastExecuted: 9 }), why: 'replica 2 is at 9, not at 10' },
  { what: reportOf(2, { isAmnesiac: true }), why: 'replica 2 has lost its vote log and does not vote yet' },
  { what: reportOf(2, { transfer: { seq: 16 } }), why: 'replica 2 fetches the state of 16' },
  {
    what: reportOf(2, { database: { url: '', connected: false, pid: null } }),
    why: 'replica 2 has no database',
  },
])('not at rest: $why', ({ what, why }) => {
  expect(unrestOf(all(what), 4)).toEqual([why])
})

test('one that does not answer is not at rest', () => {
  expect(unrestOf(reportsOf(reportOf(0), reportOf(1), reportOf(3)), 4)).toEqual(['replica 2 does not answer'])
})
