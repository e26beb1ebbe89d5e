import { describe, expect, test } from 'vitest'
import { compareDatabases, type DatabaseView } from '../../../chaos/check/compare-databases.ts'
import { genesis, HISTORY, type Tampering, viewOf, withAccount } from './views.ts'

const compare = (views: readonly DatabaseView[]) => compareDatabases(new Map(views.entries()), genesis)

/** Four databases of which those named are tampered with. */
const fourWith = (tampered: Readonly<Record<number, Tampering>>): DatabaseView[] =>
  [0, 1, 2, 3].map((id) => {
    const tamper = tampered[id]
    return viewOf(tamper === undefined ? {} : { tamper })
  })

const richer = withAccount('a', (row) => ({ ...row, balance: row.balance + 1n }))

describe('databases that hold the same', () => {
  test('are equal, with one digest', async () => {
    const { seq, databases, differences, contradictions } = await compare(fourWith({}))
    expect(seq).toBe(HISTORY.length)
    expect(new Set(databases.map(({ digest }) => digest)).size).toBe(1)
    expect({ differences, contradictions }).toEqual({ differences: [], contradictions: [] })
  })

  test('are compared where the slowest is, though others executed more since', async () => {
    for (const slowest of HISTORY.keys()) {
      const found = await compare([viewOf(), viewOf({ executed: slowest }), viewOf({ executed: 4 })])
      expect(found).toMatchObject({ seq: Math.min(slowest, 4), differences: [], contradictions: [] })
    }
  })
})

describe('a database that differs', () => {
  test('is named, with table, row and column, and what it should hold', async () => {
    const { reference, differences } = await compare(fourWith({ 2: richer }))
    expect(reference).not.toBe(2)
    expect(differences).toEqual([
      { replica: 2, difference: { table: 'accounts', key: 'a', column: 'balance', values: ['84', '85'] } },
    ])
  })

  test('is not taken for the reference, though it comes first', async () => {
    const { reference, differences } = await compare(fourWith({ 0: richer }))
    expect(reference).toBe(1)
    expect(differences.map(({ replica }) => replica)).toEqual([0])
  })

  test('is named where it lacks a row', async () => {
    const { differences } = await compare(
      fourWith({ 3: (rows) => ({ ...rows, accounts: rows.accounts.filter(({ id }) => id !== 'b') }) }),
    )
    expect(differences).toMatchObject([
      {
        replica: 3,
        difference: { table: 'accounts', key: 'b', column: null, values: [expect.any(String), null] },
      },
    ])
  })

  test('is named where its history differs', async () => {
    const tamper: Tampering = (rows) => ({
      ...rows,
      transfers: rows.transfers.map((row) => (row.seq === 2 ? { ...row, credit: 'c' } : row)),
    })
    const { differences, contradictions } = await compare(fourWith({ 1: tamper }))
    expect(differences).toMatchObject([
      { replica: 1, difference: { table: 'transfers', key: '2/0', column: 'credit', values: ['b', 'c'] } },
    ])
    expect(contradictions).toMatchObject([
      { replica: 1, contradiction: { table: 'chain', key: '2', column: 'transfersDigest' } },
    ])
  })

  test('is named where a table outside the digest differs, even if it was the reference at first', async () => {
    const tamper: Tampering = (rows) => ({
      ...rows,
      customers: rows.customers.map((row) => ({ ...row, name: `${row.name}!` })),
    })
    const { reference, differences } = await compare(fourWith({ 0: tamper }))
    expect(reference).not.toBe(0)
    expect(differences).toMatchObject([{ replica: 0, difference: { table: 'customers', column: 'name' } }])
  })
})

describe('databases that are equal and wrong', () => {
  const everywhere = (tamper: Tampering) => compare([viewOf({ tamper }), viewOf({ tamper })])

  test.each<[string, Tampering, object]>([
    ['a balance', richer, { table: 'accounts', key: 'a', column: 'balance', is: '85', shouldBe: '84' }],
    [
      'a version',
      withAccount('c', (row) => ({ ...row, version: 4 as never })),
      { table: 'accounts', key: 'c', column: 'version', is: '4', shouldBe: '0' },
    ],
    [
      'a transfer that is gone',
      (rows) => ({ ...rows, transfers: rows.transfers.filter(({ seq }) => seq !== 4) }),
      { table: 'chain', key: '4', column: 'transfersDigest' },
    ],
    [
      'a link of the chain that is gone',
      (rows) => ({ ...rows, chain: rows.chain.filter(({ seq }) => seq !== 3) }),
      { table: 'chain', key: '3', column: null },
    ],
    [
      'a reply that was never given',
      (rows) => ({
        ...rows,
        chain: rows.chain.map((row) => (row.seq === 1 ? { ...row, repliesDigest: row.batchDigest } : row)),
      }),
      { table: 'chain', key: '1', column: 'chain' },
    ],
  ])('contradict their own history: %s', async (_, tamper, expected) => {
    const { differences, contradictions } = await everywhere(tamper)
    expect(differences).toEqual([])
    expect(contradictions).toMatchObject([{ replica: 0, contradiction: expected }])
  })
})
