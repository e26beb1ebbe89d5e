import { describe, expect, test } from 'vitest'
import type { Cell } from '../../chaos/experiments/faults/choices.ts'
import { runSimulated, type SimJob } from '../../chaos/experiments/faults/sim-run.ts'
import { simulatedRuns } from '../../chaos/experiments/faults/simulated-runs.ts'

const SETTINGS = {
  delayMs: { min: 5, max: 40 },
  writes: 4,
  clients: 2,
  deadlineMs: 5_000,
  viewChangeTimeoutMs: 500,
}
const job = (cell: Partial<Cell>, seed = 1): SimJob => ({
  cell: { replicas: 4, malicious: 0, byzantine: 'crash; mute', drop: 0, ...cell },
  settings: SETTINGS,
  seed,
  run: 1,
})

test('equal jobs give equal runs, in any thread and in any order', async () => {
  const jobs = [job({ malicious: 1, drop: 0.1 }), job({}), job({ malicious: 1, drop: 0.1 }, 2)]
  const expected = jobs.map(runSimulated)
  const found = []
  for await (const { at: index, answer: result } of simulatedRuns(jobs, 2)) found[index] = result
  expect(found).toEqual(expected)
  expect(expected[0]?.latenciesMs).not.toEqual(expected[2]?.latenciesMs)
})

describe('the bound', () => {
  test('without malice: PRE-PREPARE, PREPARE and COMMIT cost 2n(n-1), and five delays pass at least', () => {
    const { latenciesMs, messages, batches, viewChanges } = runSimulated(job({}))
    const sent = ['pre-prepare', 'prepare', 'commit'].map((type) => messages[type] ?? 0)
    expect(latenciesMs).toHaveLength(SETTINGS.writes)
    expect(Math.min(...latenciesMs)).toBeGreaterThan(5 * SETTINGS.delayMs.min)
    expect(viewChanges).toBe(0)
    expect(sent.reduce((sum, count) => sum + count) / batches).toBeGreaterThanOrEqual(2 * 4 * 3 - 1)
  })

  test('f silent primaries cost a view change each, and nothing else', () => {
    const { latenciesMs, viewChanges, violation } = runSimulated(job({ malicious: 1 }))
    expect(latenciesMs).toHaveLength(SETTINGS.writes)
    expect({ viewChanges, violation }).toEqual({ viewChanges: 1, violation: null })
  })

  test('f+1 silent ones end progress, and break nothing', () => {
    expect(runSimulated(job({ malicious: 2 }))).toMatchObject({
      latenciesMs: [],
      batches: 0,
      violation: null,
    })
  })

  test('f+1 that lie together break agreement, and that ends the run', () => {
    const { violation } = runSimulated(job({ malicious: 2, byzantine: 'equivocation; two-faced' }))
    expect(violation).toMatch(/^agreement: /)
  })
})
