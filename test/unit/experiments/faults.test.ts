import { describe, expect, test } from 'vitest'
import { cellsOf, countsFor } from '../../../chaos/experiments/faults/choices.ts'
import { faultsCsvOf } from '../../../chaos/experiments/faults/csv.ts'
import { plotOf } from '../../../chaos/experiments/faults/plot.ts'
import { describeFaults, failuresWithinBound } from '../../../chaos/experiments/faults/report.ts'
import type { FaultRun } from '../../../chaos/experiments/faults/result.ts'
import { faultRowsOf } from '../../../chaos/experiments/faults/rows.ts'
import { delayFrom, dropFrom, maliciousFrom, runtimeFrom } from '../../../cli/experiment/faults-options.ts'

const run = (changes: Partial<FaultRun>): FaultRun => ({
  runtime: 'sim',
  replicas: 4,
  malicious: 0,
  byzantine: 'crash; mute',
  drop: 0,
  seed: 1,
  run: 1,
  writes: 2,
  latenciesMs: [100, 200],
  violation: null,
  seconds: 1,
  batches: 2,
  viewChanges: 0,
  messages: { 'pre-prepare': 6, prepare: 18, commit: 24, status: 9 },
  datagrams: 100,
  ...changes,
})
const stuck = {
  malicious: 2,
  latenciesMs: [],
  batches: 0,
  viewChanges: 2,
  messages: { 'view-change': 7, 'new-view': 3 },
}
const split = { malicious: 2, latenciesMs: [90], violation: 'agreement: seq 1: two batches' }

describe('what is asked for', () => {
  test.each([
    ['0..f+1', 4, [0, 1, 2]],
    ['0..f+1', 13, [0, 1, 2, 3, 4, 5]],
    ['0,f,f+1', 7, [0, 2, 3]],
    ['3,0..1', 10, [0, 1, 3]],
    ['2..9', 4, [2, 3]],
    ['f+9', 4, []],
  ])('--malicious %s of %d', (text, replicas, counts) => {
    expect(countsFor(replicas, maliciousFrom(text))).toEqual(counts)
  })

  test.each([
    ['5..40ms', { min: 5, max: 40 }],
    ['10ms', { min: 10, max: 10 }],
    ['0.5..2', { min: 0.5, max: 2 }],
  ])('--delay %s', (text, delay) => expect(delayFrom(text)).toEqual(delay))

  test.each([
    ['0..0.2', [0, 0.1, 0.2]],
    ['0,0.05', [0, 0.05]],
    ['0.3', [0.3]],
  ])('--drop %s', (text, shares) => expect(dropFrom(text)).toEqual(shares))

  test.each([
    ...['', 'x', '1..2..3', '-1', 'f-1', 'f+', '0..'].map((text) => [maliciousFrom, text] as const),
    ...['', '40..5ms', '5-40', '5..40s', '99999ms'].map((text) => [delayFrom, text] as const),
    ...['', '0..', '0.2..0', '0,0', '1', '-0.1', '0..0.1..0.2', 'x'].map((text) => [dropFrom, text] as const),
    [runtimeFrom, 'docker'] as const,
  ])('%o refuses "%s" and says what it takes', (parse, text) =>
    expect(() => parse(text)).toThrow(/It must be/),
  )

  test('every combination is a cell', () => {
    const cells = cellsOf({
      replicas: [4, 7],
      malicious: maliciousFrom('f..f+1'),
      byzantine: ['crash', 'time'],
      drop: [0, 0.1],
    })
    expect(cells).toHaveLength(16)
    expect(cells[3]).toEqual({ replicas: 4, malicious: 2, byzantine: 'crash', drop: 0.1 })
  })
})

describe('what it came to', () => {
  test('messages are per committed batch and per view entered; nothing is divided by nothing', () => {
    const [good, bad] = faultRowsOf([run({}), run({ run: 2 }), run(stuck)])
    expect(good).toMatchObject({ successPercent: 100, meanMs: 150, p95Ms: 200, messagesPerCommit: 24 })
    expect(good).toMatchObject({ messagesPerViewChange: null, datagramsPerCommit: 50 })
    expect(bad).toMatchObject({ successPercent: 0, answeredPercent: 0, safePercent: 100, meanMs: null })
    expect(bad).toMatchObject({ messagesPerCommit: null, messagesPerViewChange: 5, p95Ms: null })
  })

  test('a run that broke something is not safe, and no success although it answered', () => {
    const [row] = faultRowsOf([run(split), run({ ...split, violation: null, latenciesMs: [1, 2] })])
    expect(row).toMatchObject({
      successPercent: 50,
      safePercent: 50,
      answeredPercent: 75,
      broke: { agreement: 1 },
    })
  })

  test('only with up to f malicious replicas a run has to succeed', () => {
    const late = run({ malicious: 1, latenciesMs: [100], seed: 7 })
    expect(failuresWithinBound([run({}), run(stuck), run(split), late])).toEqual([late])
  })

  test('the table marks what is beyond f, and names failures within it', () => {
    const settings = {
      ...{ delayMs: { min: 5, max: 40 }, writes: 2, clients: 1, deadlineMs: 30_000 },
      ...{ viewChangeTimeoutMs: 500, runtime: 'sim' as const, runs: 1, seed: 1 },
    }
    const text = describeFaults({
      ...{ format: 'pbft-experiment-faults', version: 1, startedAt: '', command: '' },
      machine: { cpu: '', cores: 1, memoryBytes: 1, platform: '', node: '' },
      settings,
      isComplete: false,
      runs: [run({}), run(split), run({ malicious: 1, latenciesMs: [1], seed: 7 })],
    })
    expect(text).toMatch(/^4 +0 +0 +1 +100 % +100 % +100 % +150 +200 +0\.0 +24\.0 +-$/m)
    expect(text).toMatch(/^4 +2\* .*agreement 1$/m)
    expect(text).toContain('1 malicious (crash; mute), drop 0, seed 7: 1 of 2 writes answered in time')
    expect(text).toContain('runs are missing')
  })

  test('CSV: one line per row, quotes around commas, nothing where there is no figure', () => {
    const [head, first, second, ...more] = faultsCsvOf(
      faultRowsOf([run({ byzantine: 'dark(1, 2)' }), run({ ...stuck, byzantine: 'dark(1, 2)' })]),
    )
      .trimEnd()
      .split('\n')
    expect(head).toMatch(/^runtime,byzantine,replicas,f,malicious,drop,runs,success_percent,/)
    expect(first).toMatch(/^sim,"dark\(1, 2\)",4,1,0,0,1,100,100,100,150,200,/)
    expect(second).toMatch(/^sim,"dark\(1, 2\)",4,1,2,0,1,0,0,100,,,/)
    expect(more).toEqual([])
  })
})

describe('plot', () => {
  const rows = faultRowsOf(
    [4, 7].flatMap((replicas) => [
      run({ replicas }),
      run({ replicas, malicious: 1 }),
      run({ ...stuck, replicas }),
    ]),
  )

  test('is an SVG document with a line per size of the cluster, and falls where runs no longer succeed', () => {
    const svg = plotOf(rows)
    expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www.w3.org\/2000\/svg"/)
    for (const text of ['n = 4, f = 1', 'n = 7, f = 2', 'malicious replicas', 'crash; mute, drop 0']) {
      expect(svg).toContain(text)
    }
    expect(plotOf(rows)).not.toContain('NaN')
  })
})
