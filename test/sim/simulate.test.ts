import { describe, expect, test } from 'vitest'
import {
  campaign,
  FAULT_KINDS,
  formatFailure,
  neverHappened,
  simulate,
  summarize,
} from '../../chaos/sim/simulate.ts'

const FAST = { clients: 4, requests: 40 }

describe('replay', () => {
  test('one seed replays one run bit for bit, with real signatures too', () => {
    for (const seed of [3, 10]) {
      const first = simulate({ ...FAST, seed, faults: 'all' })
      const again = simulate({ ...FAST, seed, faults: 'all' })
      expect(again).toEqual(first)
    }
  })

  test('keeping lines changes nothing', () => {
    const plain = simulate({ ...FAST, seed: 4 })
    const traced = simulate({ ...FAST, seed: 4, trace: true })
    expect(traced.traceHash).toBe(plain.traceHash)
    expect(plain.lines).toEqual([])
    expect(traced.lines.length).toBeGreaterThan(100)
  })

  test('different seeds are different runs', () => {
    const hashes = [...campaign({ ...FAST, fromSeed: 1, runs: 8 })].map(({ traceHash }) => traceHash)
    expect(new Set(hashes).size).toBe(hashes.length)
  })
})

describe('campaign', () => {
  test('seeds hold their rules, and what a campaign must have seen has happened', async () => {
    const reports = [
      ...campaign({ fromSeed: 1, runs: 12 }),
      ...campaign({ ...FAST, fromSeed: 100, runs: 40, faults: FAULT_KINDS }),
    ]
    const { failures, happenings } = await summarize(reports)
    expect(failures.map(formatFailure)).toEqual([])
    const never = neverHappened(happenings).map(({ what }) => what)
    expect(never.filter((what) => !RARE.includes(what))).toEqual([])
  })

  test('a quiet cluster of 4, 5 and 7 replicas completes', () => {
    for (const replicas of [4, 5, 7]) {
      const report = simulate({ ...FAST, seed: 21, replicas, faults: 'none' })
      expect(formatFailure(report)).toBe('seed 21: no failure')
      expect(report.batches).toBeGreaterThan(10)
    }
  })
})

/** What a campaign as short as this one may miss; a long one may not. */
const RARE: readonly string[] = [
  'amnesiac-votes-again',
  'liar accused',
  'null request',
  'repaired',
  'stale request ordered',
  'tampered row found by a scrub',
  'tampered row met by a write',
  'transfer-moved',
]
