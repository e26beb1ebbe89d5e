import { expect, test } from 'vitest'
import type { Comparison } from '../../../chaos/check/compare-databases.ts'
import { describeFindings } from '../../../cli/commands/check.ts'
import { seq, ZERO_DIGEST } from '../../../protocol/types.ts'

const comparison = (found: Partial<Comparison>): Comparison => ({
  seq: seq(7),
  databases: [0, 1, 2, 3].map((replica) => ({ replica, lastExecuted: seq(7), digest: ZERO_DIGEST })),
  reference: 0,
  differences: [],
  contradictions: [],
  ...found,
})

test('equal databases leave nothing to say', () => {
  expect(describeFindings(comparison({}))).toEqual([])
})

test('a difference names replica, table, row, column and both values', () => {
  const difference = { table: 'accounts', key: 'A', column: 'balance', values: ['1000', '1001'] } as const
  expect(describeFindings(comparison({ differences: [{ replica: 2, difference }] }))).toEqual([
    'replica 2 differs first in table accounts, row A, column balance: it has 1001, replicas 0, 1 and 3 have 1000',
  ])
})

test('a row that is not there is told from a value that is null', () => {
  const lacks = { table: 'accounts', key: 'A', column: null, values: ['id=A', null] } as const
  const isNull = { table: 'customers', key: '1000', column: 'address', values: ['x', null] } as const
  const found = comparison({
    differences: [
      { replica: 1, difference: lacks },
      { replica: 2, difference: isNull },
    ],
  })
  expect(describeFindings(found)).toEqual([
    'replica 1 differs first in table accounts, row A: it has (no such row), replicas 0 and 3 have id=A',
    'replica 2 differs first in table customers, row 1000, column address: it has null, replicas 0 and 3 have x',
  ])
})

test('a database that contradicts itself is named with what its history makes of the row', () => {
  const contradiction = { table: 'accounts', key: 'A', column: 'balance', is: '2', shouldBe: '1' } as const
  expect(describeFindings(comparison({ contradictions: [{ replica: 0, contradiction }] }))).toEqual([
    'replica 0 contradicts its own history in table accounts, row A, column balance: it has 2, its transfers make it 1',
  ])
})
