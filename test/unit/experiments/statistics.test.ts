import { expect, test } from 'vitest'
import { medianInterval, spreadOf } from '../../../chaos/experiments/statistics.ts'

test.each([
  // Tables of the sign test: n, rank of the interval's ends, its coverage.
  { runs: 6, rank: 1, coverage: 0.9688 },
  { runs: 8, rank: 1, coverage: 0.9922 },
  { runs: 9, rank: 2, coverage: 0.9609 },
  { runs: 10, rank: 2, coverage: 0.9785 },
  { runs: 20, rank: 6, coverage: 0.9586 },
  { runs: 30, rank: 10, coverage: 0.9572 },
])('$runs runs: from the smallest but $rank - 1 on, $coverage', ({ runs, rank, coverage }) => {
  expect(medianInterval(runs)).toEqual({ rank, coverage: expect.closeTo(coverage, 4) })
})

test('fewer than six runs reach no 95 %, and say so', () => {
  expect(medianInterval(5)).toEqual({ rank: 1, coverage: 0.9375 })
  expect(medianInterval(3)).toEqual({ rank: 1, coverage: 0.75 })
  expect(medianInterval(1)).toEqual({ rank: 1, coverage: 0 })
})

test('the interval leaves out as many of the smallest as of the largest', () => {
  const values = [9, 1, 8, 2, 7, 3, 6, 4, 5, 100]
  expect(spreadOf(values)).toMatchObject({ median: 5.5, low: 2, high: 9 })
})

test('the median of an odd number of runs is one of them', () => {
  expect(spreadOf([3, 1, 2])).toMatchObject({ median: 2, low: 1, high: 3 })
})

test('there is no figure over no runs', () => {
  expect(() => spreadOf([])).toThrow(RangeError)
})
