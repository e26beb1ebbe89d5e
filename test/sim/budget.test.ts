import { expect, test } from 'vitest'
import { Budget } from '../../chaos/sim/budget.ts'
import { replicaId } from '../../protocol/types.ts'

test('no more than f replicas are faulty at a time, and none twice', () => {
  const budget = new Budget(2)
  let isBack = false
  expect(budget.take(replicaId(0), () => isBack)).toBe(true)
  expect(budget.take(replicaId(0), () => false)).toBe(false)
  expect(budget.take(replicaId(1), () => false)).toBe(true)
  expect(budget.take(replicaId(2), () => false)).toBe(false)
  isBack = true
  expect(budget.faulty).toEqual([replicaId(1)])
  expect(budget.take(replicaId(2), () => false)).toBe(true)
})
