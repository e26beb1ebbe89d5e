import fc from 'fast-check'
import { expect, test } from 'vitest'
import { quorumOf } from '../../../protocol/quorum.ts'

test.each([
  [4, 1, 3, 2],
  [5, 1, 4, 2],
  [6, 1, 4, 2],
  [7, 2, 5, 3],
  [8, 2, 6, 3],
  [9, 2, 6, 3],
  [10, 3, 7, 4],
  [11, 3, 8, 4],
  [12, 3, 8, 4],
  [13, 4, 9, 5],
])('n=%i tolerates %i, quorum %i, weak %i', (n, f, quorum, weak) => {
  expect(quorumOf(n)).toEqual({ n, f, quorum, weak })
})

test('any two quorums share a correct replica, and the correct ones alone are a quorum', () => {
  fc.assert(
    fc.property(fc.integer({ min: 4, max: 1_000 }), (n) => {
      const { f, quorum, weak } = quorumOf(n)
      expect(3 * f).toBeLessThan(n)
      expect(2 * quorum - n).toBeGreaterThanOrEqual(f + 1)
      expect(quorum).toBeLessThanOrEqual(n - f)
      expect(weak).toBe(f + 1)
    }),
  )
})

test.each([3, 0, -1, 4.5, Number.NaN])('%d replicas are refused', (n) => {
  expect(() => quorumOf(n)).toThrow(RangeError)
})
