import { expect, test } from 'vitest'
import { drawIterations } from '../../../chaos/experiments/iterations.ts'
import { Random } from '../../../chaos/sim/random.ts'

const accounts = ['A', 'B', 'C']
const draw = (count: number, seed = 1) => drawIterations(count, { random: new Random(seed), accounts })
const readsIn = (count: number) => draw(count).filter(({ kind }) => kind === 'read').length

test('exactly half are reads; of an odd number one less', () => {
  expect([2, 1_000, 5_001].map(readsIn)).toEqual([1, 500, 2_500])
})

test('reads and writes are mixed, not one half after the other', () => {
  const firstHalf = draw(1_000)
    .slice(0, 500)
    .filter(({ kind }) => kind === 'read').length
  expect(firstHalf).toBeGreaterThan(200)
  expect(firstHalf).toBeLessThan(300)
})

test('the seed repeats them, another one does not', () => {
  expect(draw(100)).toEqual(draw(100))
  expect(draw(100)).not.toEqual(draw(100, 2))
})

test('nobody pays himself, and all three sorts of writes come', () => {
  const writes = draw(1_000).flatMap((iteration) => (iteration.kind === 'write' ? [iteration.operation] : []))
  expect(new Set(writes.map(({ kind }) => kind))).toEqual(new Set(['deposit', 'withdraw', 'transfer']))
  expect(writes.filter((write) => write.kind === 'transfer' && write.from === write.to)).toEqual([])
})

test('one account is too few', () => {
  expect(() => drawIterations(2, { random: new Random(1), accounts: ['A'] })).toThrow(RangeError)
})
