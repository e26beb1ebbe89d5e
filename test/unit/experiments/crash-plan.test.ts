import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkpointIntervalFor, planCrashes, RESTARTS_MAX } from '../../../chaos/experiments/crash-plan.ts'

test('two crashes of 1,000 iterations: one in each half, down for a fifth, the primary first', () => {
  expect(planCrashes({ iterations: 1_000, restarts: 2 })).toEqual({
    downIterations: 200,
    points: [
      { at: 100, latest: 600, victim: 'primary' },
      { at: 600, latest: 800, victim: 'backup' },
    ],
  })
})

test('none without restarts', () => {
  expect(planCrashes({ iterations: 1_000, restarts: 0 }).points).toEqual([])
})

test('every victim has a fifth of the iterations left, however late the one before it came back', () => {
  const choices = fc.record({
    iterations: fc.integer({ min: 20, max: 100_000 }),
    restarts: fc.integer({ min: 1, max: RESTARTS_MAX }),
  })
  fc.assert(
    fc.property(choices, ({ iterations, restarts }) => {
      const { points, downIterations } = planCrashes({ iterations, restarts })
      expect(downIterations).toBeGreaterThanOrEqual(iterations * 0.2)
      let freeFrom = 0
      for (const { at, latest } of points) {
        expect(at).toBeGreaterThanOrEqual(0)
        expect(latest).toBeGreaterThanOrEqual(at)
        // The one before may be killed as late as it can.
        expect(latest).toBeGreaterThanOrEqual(freeFrom)
        freeFrom = latest + downIterations
      }
      expect(freeFrom).toBe(iterations)
      expect(points.filter(({ victim }) => victim === 'primary')).toHaveLength(Math.ceil(restarts / 2))
    }),
  )
})

test('more crashes than fit are refused', () => {
  expect(() => planCrashes({ iterations: 1_000, restarts: RESTARTS_MAX + 1 })).toThrow(RangeError)
  expect(() => planCrashes({ iterations: 11, restarts: 4 })).toThrow(
    'do not fit into 11 iterations: each takes 3',
  )
})

test('checkpoints are so close that the writes that a victim misses pass several', () => {
  expect(checkpointIntervalFor({ iterations: 10_000, concurrency: 1 })).toBe(16)
  expect(checkpointIntervalFor({ iterations: 1_000, concurrency: 1 })).toBe(16)
  expect(checkpointIntervalFor({ iterations: 200, concurrency: 1 })).toBe(3)
  expect(checkpointIntervalFor({ iterations: 1_000, concurrency: 16 })).toBe(1)
  expect(checkpointIntervalFor({ iterations: 10, concurrency: 100 })).toBe(1)
})
