import { afterAll, beforeAll, expect, test } from 'vitest'
import { PROPERTIES } from '../../../chaos/check/finding.ts'
import { editCell, editTable, failuresOf, judged, propertyOf, Runs, textOf } from './synthetic/fixture.ts'

const runs = new Runs()
const BATCHES = 40
let whole = ''
beforeAll(async () => {
  whole = await runs.make({ batches: BATCHES })
})
afterAll(() => runs.remove())

test('a run in which all is well passes, and every property was looked at', async () => {
  const report = await judged(whole)
  expect(report.verdict).toBe('pass')
  expect(report.properties.map(({ property }) => property)).toEqual([...PROPERTIES])
  expect(report.properties.map(({ verdict }) => verdict)).toEqual(PROPERTIES.map(() => 'pass'))
  expect(report).toMatchObject({ batches: BATCHES, operations: 160 })
  expect(propertyOf(report, 'replay').checked).toEqual({ from: 1, to: BATCHES, count: BATCHES })
})

const first = (cells: string[]): boolean => cells[0] === '12'
const digits = (text: string): string => `${BigInt(text) + 1n}`
const flipped = (text: string): string => text.replace(/[0-9a-f]$/, (hex) => (hex === '0' ? '1' : '0'))

test.each([
  ['accounts', 'balance', editCell(([id]) => id === 'a3', 2, digits)],
  ['accounts', 'owner', editCell(([id]) => id === 'a3', 1, digits)],
  ['accounts', 'version', editCell(([id]) => id === 'a3', 4, digits)],
  ['accounts', 'newest', editCell(([id]) => id === 'a3', 6, digits)],
  ['accounts', 'path', editCell(([id]) => id === 'a3', 7, digits)],
  ['transfers', 'amount', editCell(first, 4, digits)],
  ['transfers', 'debit', editCell(first, 2, () => 'a7')],
  ['transfers', 'credit_entry', editCell(first, 7, digits)],
  ['chain', 'batch_digest', editCell(first, 1, flipped)],
  ['chain', 'replies_digest', editCell(first, 2, flipped)],
  ['chain', 'transfers_digest', editCell(first, 3, flipped)],
  ['chain', 'chain', editCell(first, 4, flipped)],
  [
    'customers',
    'name',
    editCell(
      () => true,
      1,
      () => 'Mallory',
    ),
  ],
  [
    'customers',
    'address',
    editCell(
      () => true,
      2,
      () => 'elsewhere',
    ),
  ],
  [
    'principals',
    'role',
    editCell(
      ([id]) => id === '1000',
      1,
      () => 'customer',
    ),
  ],
  ['principals', 'public_key', editCell(([id]) => id === '2', 2, flipped)],
  ['principals', 'incarnation', editCell(([id]) => id === '2', 3, digits)],
  ['client_table', 'number', editCell(([, lane]) => lane === '1', 2, digits)],
  ['client_table', 'result', editCell(([, lane]) => lane === '1', 4, flipped)],
  [
    'client_table',
    'lookup_number',
    editCell(
      ([, lane]) => lane === '1',
      5,
      () => '7',
    ),
  ],
] as const)('a changed %s.%s is found in its row and column', async (table, column, change) => {
  const run = runs.copy(whole)
  editTable(run, [2, table], change)
  const report = await judged(run)
  expect(report.verdict).toBe('fail')
  const text = textOf(report, 'replay')
  expect(text).toMatch(new RegExp(`table ${table}, row \\S+, column ${column}: replica 2 has `))
  expect(text).toContain('replicas 0, 1 and 3 have')
  expect(text).toContain('as the model says')
})

test('a row is explained by its batch and by the operations of it that touch the row', async () => {
  const run = runs.copy(whole)
  editTable(
    run,
    [2, 'transfers'],
    editCell(first, 4, () => '999'),
  )
  const text = textOf(await judged(run), 'replay')
  expect(text).toMatch(
    /seq 12: table transfers, row 12\/0, column amount: replica 2 has 999; replicas 0, 1 and 3 have \d, as the model says/,
  )
  expect(text).toMatch(/batch [0-9a-f]{16} at seq 12: 4 operations, [12] of them touch this row/)
  expect(text).toMatch(/ {2}(transfer|deposit|withdraw) \S+ (\S+ )?\d+, of request 1000\/\d\/\d+/)
})

test('a balance that somebody changed is explained by the batch that the model changed it with last', async () => {
  const run = runs.copy(whole)
  editTable(
    run,
    [1, 'accounts'],
    editCell(([id]) => id === 'a3', 2, digits),
  )
  const report = await judged(run)
  expect(failuresOf(report)).toEqual(['conservation', 'replay'])
  expect(textOf(report, 'replay')).toMatch(
    /the model changed it last at seq \d+\nbatch [0-9a-f]{16} at seq \d+: 4 operations, \d of them touch this row/,
  )
  expect(textOf(report, 'conservation')).toMatch(
    /the database of replica 1: account a3 has \d+, and its transfers make it/,
  )
  expect(textOf(report, 'conservation')).toMatch(/the balances add up to 1, not to 0/)
})

test.each([
  [
    'a transfer beyond the last seq',
    'transfers',
    (lines: string[]) => [...lines, '99\t0\ta1\ta2\t5\t1\t0\t1\t0'],
  ],
  ['a transfer too many', 'transfers', (lines: string[]) => inserted(lines, '12\t77\ta1\ta2\t5\t1\t0\t1\t0')],
  [
    'a transfer that is missing',
    'transfers',
    (lines: string[]) => lines.filter((line) => !line.startsWith('12\t0\t')),
  ],
  ['a link that is missing', 'chain', (lines: string[]) => lines.filter((line) => !line.startsWith('12\t'))],
  ['an account too many', 'accounts', (lines: string[]) => [...lines, 'zz\t1000\t0\t0\t0\t0\t0\t5']],
  [
    'an account that is missing',
    'accounts',
    (lines: string[]) => lines.filter((line) => !line.startsWith('a3')),
  ],
  [
    'a lane too many',
    'client_table',
    (lines: string[]) => [...lines, '1000\t9\t5\t\\N\t\\N\t\\N\t\\N\t3\t5'],
  ],
] as const)('%s is found', async (_, table, change) => {
  const run = runs.copy(whole)
  editTable(run, [0, table], change)
  const report = await judged(run)
  expect(report.verdict).toBe('fail')
  expect(textOf(report, 'replay')).toMatch(new RegExp(`table ${table}, row \\S+: replica 0 has`))
})

function inserted(lines: string[], line: string): string[] {
  const at = lines.findIndex((one) => Number(one.split('\t')[0]) > 12)
  return [...lines.slice(0, at), line, ...lines.slice(at)]
}

test.each([
  ['last_executed lowered', 3, (cell: string) => `${Number(cell) - 1}`],
  ['last_executed raised', 3, (cell: string) => `${Number(cell) + 1}`],
  ['chain', 4, flipped],
  ['cluster_id', 0, flipped],
  ['genesis_digest', 1, flipped],
] as const)('a row of meta with another %s fails', async (_, column, change) => {
  const run = runs.copy(whole)
  editTable(
    run,
    [3, 'meta'],
    editCell(() => true, column, change),
  )
  const report = await judged(run)
  expect(report.verdict).toBe('fail')
})

test('databases that stand at different places are each compared where they stand', async () => {
  const run = await runs.make({ batches: 20, executedBy: (replica) => 20 - 3 * replica })
  const report = await judged(run)
  expect(report.verdict).toBe('pass')
  expect(report.databases.map(({ lastExecuted }) => lastExecuted)).toEqual([20, 17, 14, 11])
  editTable(
    run,
    [3, 'accounts'],
    editCell(([id]) => id === 'a3', 2, digits),
  )
  expect(failuresOf(await judged(run))).toContain('replay')
})

test('a link that is well made of a batch that nobody agreed on is found', async () => {
  const run = runs.copy(whole)
  editTable(run, [0, 'chain'], editCell(first, 1, flipped))
  const report = await judged(run)
  expect(failuresOf(report)).toEqual(expect.arrayContaining(['agreement', 'chain', 'replay']))
  expect(textOf(report, 'agreement')).toMatch(
    /seq 12: batch [0-9a-f]{16} was decided, and not executed by replica 0/,
  )
  expect(textOf(report, 'chain')).toMatch(
    /seq 12: the chain of replica 0 does not follow from the link before it/,
  )
})

test('a database that cannot be read leaves it unknown', async () => {
  const run = runs.copy(whole)
  editTable(run, [3, 'meta'], () => ['nonsense'])
  const report = await judged(run)
  expect(report.verdict).toBe('unknown')
  expect(propertyOf(report, 'replay').notChecked.join()).toMatch(
    /replica 3 can't be read: .*meta\.tsv: not a row of meta/,
  )
})

test('a file that is no table is said to be none', async () => {
  const run = runs.copy(whole)
  editTable(run, [3, 'chain'], (lines) => lines.map(() => 'nonsense'))
  const report = await judged(run)
  expect(report.verdict).toBe('unknown')
  expect(propertyOf(report, 'chain').notChecked.join()).toMatch(/chain\.tsv: line 1: no row of chain/)
})
