import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { csvOf } from '../../../chaos/experiments/csv.ts'
import { thisMachine } from '../../../chaos/experiments/machine.ts'
import { compareResults, describeResult } from '../../../chaos/experiments/report.ts'
import {
  type ExperimentResult,
  newResult,
  type RunResult,
  readResult,
} from '../../../chaos/experiments/result.ts'
import { rowsOf } from '../../../chaos/experiments/rows.ts'
import { ProgressLine } from '../../../cli/experiment/progress-line.ts'

const runOf = (fields: Partial<RunResult> = {}): RunResult => ({
  iterations: 1_000,
  restarts: 0,
  concurrency: 1,
  seed: 1,
  run: 1,
  hasFaultPlan: false,
  checkpointInterval: 128,
  reads: 500,
  writes: 500,
  refused: 0,
  retried: 0,
  unanswered: 0,
  seconds: 2,
  heldSeconds: 0,
  viewChanges: 0,
  crashes: [],
  stateTransfers: 0,
  batchesCaughtUp: 0,
  latencyMs: { read: { p50: 1, p95: 2, p99: 3, max: 4 }, write: { p50: 5, p95: 6, p99: 7, max: 8 } },
  verdict: 'pass',
  why: [],
  directory: null,
  ...fields,
})
const crash = { replica: 0, wasPrimary: true, downFrom: 1, downTo: 2, missedBatches: 3, backAfterMs: 4 }

const resultOf = (runs: readonly RunResult[], fields: Partial<ExperimentResult> = {}): ExperimentResult =>
  newResult({
    startedAt: '2026-01-01T00:00:00.000Z',
    command: 'pbft experiment iterations',
    machine: thisMachine(),
    settings: {
      replicas: 4,
      accounts: 10,
      concurrency: 1,
      seed: 1,
      postgres: 'embedded',
      faultPlan: null,
      isInMemory: false,
    },
    isComplete: true,
    runs,
    ...fields,
  })

/** Cells are two blanks apart, and may have one blank in them. */
const cellsOf = (line: string | undefined): string[] => (line ?? '').trim().split(/ {2,}/)
const linesOf = (text: string) => text.split('\n')

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pbft-results-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test('a row without faults and one with them, and the paper below', () => {
  const runs = [
    runOf(),
    runOf({ seconds: 4 }),
    runOf({ restarts: 2, seconds: 3, crashes: [crash, crash], viewChanges: 1, stateTransfers: 2 }),
  ]
  const [head, plain, crashed, paper] = linesOf(describeResult(resultOf(runs))).map(cellsOf)
  expect(head?.slice(0, 5)).toEqual(['iterations', 'faults', 'runs', 'read', 'write'])
  expect(plain).toEqual([
    '1,000',
    'none',
    '2',
    '500',
    '500',
    '3.00 [2.00, 4.00]',
    '375 [250, 500]',
    '0',
    '0',
    '0',
    '100 %',
  ])
  expect(crashed).toEqual(['1,000', '2 x crash', '1', '500', '500', '3.00', '333.3', '1', '2', '2', '100 %'])
  expect(paper).toEqual(['1,000', 'the paper', '500', '500', '3.15', '317', '3', '0', '100 %'])
})

test('the paper is silent on other numbers of iterations', () => {
  expect(describeResult(resultOf([runOf({ iterations: 200 })]))).not.toContain('the paper')
})

test('accuracy counts what passed: unknown is not accurate, and says why', () => {
  const doubtful = runOf({
    verdict: 'unknown',
    why: ['replica 2 does not answer'],
    directory: '/tmp/x',
    run: 2,
  })
  const result = resultOf([runOf(), doubtful, runOf({ verdict: 'fail', why: ['rows differ'] }), runOf()])
  expect(rowsOf(result.runs)[0]?.accuracyPercent).toBe(50)
  const text = describeResult(result)
  expect(text).toContain('run 2, seed 1: unknown: replica 2 does not answer; its cluster is in /tmp/x')
  expect(text).toContain('fail: rows differ')
})

test('says what is missing, and what the figures do not show', () => {
  const result = resultOf([runOf({ unanswered: 2 })], { isComplete: false })
  expect(describeResult(result)).toContain('runs are missing')
  expect(describeResult(result)).toContain('2 writes without an answer')
  expect(describeResult(resultOf([runOf()]))).not.toContain('missing')
})

test('a CSV line per row, as many cells as the head', () => {
  const lines = csvOf(rowsOf([runOf(), runOf({ restarts: 2 }), runOf({ seconds: 4 })]))
    .trimEnd()
    .split('\n')
  expect(lines).toHaveLength(3)
  expect(new Set(lines.map((line) => line.split(',').length)).size).toBe(1)
  const column = lines[0]?.split(',').indexOf('time_s_median') ?? -1
  expect(lines[1]?.split(',')[column]).toBe('3')
})

test('two files side by side, the second with its share of the first', () => {
  const before = {
    name: 'before.json',
    result: resultOf([runOf(), runOf({ iterations: 5_000, seconds: 9 })]),
  }
  const after = { name: 'after.json', result: resultOf([runOf({ seconds: 1 })]) }
  const [, first, second, alone] = linesOf(compareResults([before, after])).map(cellsOf)
  expect(first?.slice(0, 5)).toEqual(['1,000', 'none', 'before.json', '1', '2.00'])
  expect(second?.slice(0, 5)).toEqual(['1,000', 'none', 'after.json', '1', '1.00 (50 %)'])
  expect(alone?.slice(0, 5)).toEqual(['5,000', 'none', 'before.json', '1', '9.00'])
})

test('a file of results is read back as it was written', async () => {
  const path = join(directory, 'good.json')
  const result = resultOf([runOf({ restarts: 1, crashes: [crash] })])
  await writeFile(path, JSON.stringify(result))
  expect(await readResult(path)).toEqual(result)
})

test.each([
  { name: 'torn.json', text: '{"format":', says: 'cannot be read' },
  { name: 'other.json', text: '{"format":"x","version":1}', says: 'format: is no result of' },
  {
    name: 'field.json',
    text: JSON.stringify({ ...resultOf([]), runs: [{ ...runOf(), seconds: 'fast' }] }),
    says: 'runs.0.seconds',
  },
  {
    name: 'newer.json',
    text: JSON.stringify({ ...resultOf([]), version: 2 }),
    says: 'version: is of another',
  },
])('$name is refused, with the place', async ({ name, text, says }) => {
  const path = join(directory, name)
  await writeFile(path, text)
  await expect(readResult(path)).rejects.toThrow(`${path}: ${says}`)
})

test('progress is one line on a terminal, and a line now and then elsewhere', () => {
  const written: string[] = []
  let nowMs = 0
  const out = { write: (text: string) => written.push(text), isTTY: false }
  const plain = new ProgressLine(out, () => nowMs)
  plain.update('1')
  plain.update('2')
  nowMs = 5_000
  plain.update('3')
  plain.say('done')
  expect(written).toEqual(['1\n', '3\n', 'done\n'])
  written.length = 0
  const terminal = new ProgressLine({ ...out, isTTY: true }, () => nowMs)
  terminal.update('1')
  terminal.update('2')
  terminal.say('done')
  expect(written).toEqual(['\r\u001b[2K1', '\r\u001b[2K2', '\r\u001b[2Kdone\n'])
})
