import { type Logger, pino } from 'pino'
import { beforeEach, expect, test } from 'vitest'
import { seq, ZERO_DIGEST } from '../../../protocol/types.ts'
import type { Observation } from '../../../replica/core/effect.ts'
import { Journal } from '../../../replica/runtime/journal.ts'

let lines: Record<string, unknown>[]
let log: Logger

beforeEach(() => {
  lines = []
  log = pino(
    { level: 'info', base: null, timestamp: false },
    { write: (line) => lines.push(JSON.parse(line)) },
  )
})

const journalOf = (lastExecuted: number) =>
  new Journal({ log, lastExecuted: seq(lastExecuted), takeFetched: () => ({ rows: 5, history: 9 }) })
const committed = (n: number, how: 'votes' | 'proof' | 'words' | 'log'): Observation => ({
  kind: 'committed',
  seq: seq(n),
  digest: ZERO_DIGEST,
  how,
})
const executed = (n: number): Observation => ({ kind: 'executed', seq: seq(n), chain: ZERO_DIGEST })

test('batches that others sent are told of together, by how they were proven', () => {
  const journal = journalOf(10)
  for (const n of [12, 11, 13]) journal.observe(committed(n, 'proof'))
  journal.observe(committed(14, 'words'))
  journal.observe(committed(15, 'votes'))
  expect(lines).toEqual([])
  journal.observe({ kind: 'caught-up', seq: seq(15) })
  journal.observe({ kind: 'caught-up', seq: seq(16) })
  expect(lines).toEqual([
    { level: 30, kind: 'caught-up', from: 11, to: 14, count: 4, proof: 3, words: 1, msg: 'caught-up' },
  ])
})

test('batches that the database lacked are told of once it has them', () => {
  const journal = journalOf(10)
  for (const n of [9, 10, 11, 12]) journal.observe(committed(n, 'log'))
  journal.observe(executed(11))
  expect(lines).toEqual([])
  journal.observe(executed(12))
  expect(lines).toEqual([{ level: 30, kind: 'redone', from: 11, to: 12, count: 2, msg: 'redone' }])
})

test('a new connection may be behind again; a state that is installed ends a redo', () => {
  const journal = journalOf(10)
  journal.observe(executed(11))
  journal.onDatabase(seq(9))
  journal.observe(committed(10, 'log'))
  journal.observe(executed(10))
  expect(lines).toMatchObject([{ kind: 'redone', from: 10, to: 10 }])
  journal.observe(committed(11, 'log'))
  journal.observe({ kind: 'transfer-installed', seq: seq(40) })
  journal.observe(executed(41))
  expect(lines.slice(1)).toMatchObject([{ kind: 'transfer-installed', seq: 40, rows: 5, history: 9 }])
})

test('rows are named one by one, with their kind', () => {
  const rows = [{ table: 'accounts', key: 'A', column: 'balance', expected: '1', found: '2' } as const]
  const journal = journalOf(0)
  journal.observe({ kind: 'tampered', rows })
  journal.observe({ kind: 'repaired', rows })
  expect(lines).toMatchObject([
    { level: 40, kind: 'tampered', row: rows[0], msg: expect.stringContaining('table accounts, row A') },
    { level: 40, kind: 'repaired', row: rows[0] },
  ])
})

test('what is frequent is not told', () => {
  const journal = journalOf(0)
  journal.observe({ kind: 'stable', seq: seq(1) })
  journal.observe({ kind: 'proposed', seq: seq(1), operations: 3 })
  expect(lines).toEqual([])
})
