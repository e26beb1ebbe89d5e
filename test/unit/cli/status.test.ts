import { describe, expect, test } from 'vitest'
import { accusations, judge, type StatusRow } from '../../../cli/commands/status.ts'
import type { ReplicaReport } from '../../../protocol/inspection.ts'

const report = (replica: number, view: number, replicas: number): ReplicaReport => ({
  replica,
  pid: 1,
  upMs: 1,
  view,
  highestViewChange: view,
  primary: view % replicas,
  lastExecuted: 0,
  chain: '',
  lowWaterMark: 0,
  peers: [],
  isAmnesiac: false,
  accused: [],
  transfer: null,
  viewChanges: { started: 0, entered: 0 },
  database: { url: '', connected: true, pid: null },
  committed: {},
  executed: { batches: 0, operations: 0 },
  cpu: { userMs: 0, systemMs: 0 },
  memory: { rssBytes: 0, heapUsedBytes: 0 },
  sent: {},
  counters: {},
})

const rows = (replicas: number, down: readonly number[], view = 0): StatusRow[] =>
  Array.from({ length: replicas }, (_, replica) => ({
    replica,
    address: '',
    report: down.includes(replica) ? undefined : report(replica, view, replicas),
  }))

describe('whether a cluster can order', () => {
  test('it can with everybody up, and says how many more may fail', () => {
    expect(judge(rows(4, []))).toMatchObject({
      orders: true,
      summary: '4 of 4 replicas are up; 1 more may fail',
    })
    expect(judge(rows(7, [3]))).toMatchObject({
      orders: true,
      summary: '6 of 7 replicas are up; 1 more may fail',
    })
  })

  test('it can with f down', () => {
    expect(judge(rows(4, [3]))).toMatchObject({ orders: true, up: 3, quorum: 3 })
  })

  test('it cannot with more than f down: no quorum, and who does not answer', () => {
    const { orders, summary } = judge(rows(4, [1, 3]))
    expect(orders).toBe(false)
    expect(summary).toBe('no quorum: 2 of 4 replicas answer, 3 are needed (no answer from 1 and 3)')
  })

  test('it can without its primary, which is replaced, and says so', () => {
    expect(judge(rows(4, [0]))).toMatchObject({
      orders: true,
      summary: expect.stringContaining(
        'replica 0 leads view 0 and does not answer: the next request replaces it',
      ),
    })
    expect(judge(rows(4, [0], 2)).summary).not.toContain('leads')
    expect(judge(rows(4, [2], 6)).summary).toContain('replica 2 leads view 6')
  })

  test('[D5] it cannot when those that may vote are too few', () => {
    const recovering = (ids: readonly number[], down: readonly number[]) =>
      rows(4, down).map((row) =>
        row.report !== undefined && ids.includes(row.replica)
          ? { ...row, report: { ...row.report, isAmnesiac: true } }
          : row,
      )
    expect(judge(recovering([1], []))).toMatchObject({
      orders: true,
      summary: expect.stringContaining('0 more may fail'),
    })
    expect(judge(recovering([1], [2]))).toMatchObject({
      orders: false,
      summary: expect.stringContaining('1 lost the vote log'),
    })
  })

  test('it says so when replicas contradict each other at one seq', () => {
    const contradicting = rows(4, []).map((row) =>
      row.replica === 2 && row.report !== undefined
        ? { ...row, report: { ...row.report, chain: 'f'.repeat(64) } }
        : row,
    )
    const { agree, summary } = judge(contradicting)
    expect(agree).toBe(false)
    expect(summary).toMatch(/replicas 0 and 2 have different chains at/)
    expect(judge(rows(4, [])).agree).toBe(true)
  })
})

test('[EV3] it names who is accused, of what, by whom and where the proof is', () => {
  const accused = (file: string) => [{ replica: 2, of: 'two COMMITs for view 3 seq 17', file }]
  const keeping = rows(4, [3]).map((row) =>
    row.report !== undefined && row.replica < 2
      ? { ...row, report: { ...row.report, accused: accused(`of-${row.replica}.json`) } }
      : row,
  )
  expect(accusations(keeping)).toEqual([
    expect.stringContaining(
      'accused: replica 2 (two COMMITs for view 3 seq 17), evidence in of-0.json (kept by replicas 0 and 1;',
    ),
  ])
  expect(accusations(rows(4, []))).toEqual([])
  // It accuses only.
  expect(judge(keeping).orders).toBe(true)
})
