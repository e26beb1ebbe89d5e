import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { seq } from '../../protocol/types.ts'
import { isVote, type VoteRecord } from '../../replica/core/vote-record.ts'
import { wantedRecords } from '../../replica/runtime/vote-log/wanted-records.ts'
import {
  AMNESIA,
  checkpoint,
  committed,
  copyLog,
  newView,
  OpenLog,
  prePrepare,
  prepared,
  recovered,
  stable,
  temporaryDirectory,
  viewChange,
} from './vote-log-fixture.ts'
import { syscalls } from './vote-log-syscalls.ts'

vi.mock('node:fs/promises', async (original) => {
  const { mortal } = await import('./vote-log-syscalls.ts')
  return mortal(await original())
})

/** A few batches of records. */
const SEGMENT_BYTES_MAX = 6_500
const all = { from: seq(1), upTo: seq(10_000), bytesMax: 2 ** 30 }
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)
const segmentsIn = (directory: string): number[] =>
  readdirSync(directory)
    .flatMap((name) => /^votes-(\d+)\.log$/.exec(name)?.[1] ?? [])
    .map(Number)

const ordered = (n: number): VoteRecord[] => [prePrepare(n), committed(n), prepared(n)]
/** Standing records early on, two views, a stable checkpoint at 20, and 10 more numbers. */
const HISTORY: readonly VoteRecord[] = [
  AMNESIA,
  recovered(7),
  viewChange(1),
  newView(1),
  ...range(1, 12).flatMap(ordered),
  viewChange(2),
  ...range(13, 20).flatMap(ordered),
  checkpoint(20),
  stable(20),
  ...range(21, 30).flatMap(ordered),
]

/** The records up to each vote in a group of their own, so that they spread over segments; the last is a vote. */
async function persistAll(opened: OpenLog, records: readonly VoteRecord[]): Promise<void> {
  for (const record of records) await (isVote(record) ? opened.persist(record) : opened.append(record))
}

async function logOf(directory: string, records: readonly VoteRecord[], archive = false): Promise<OpenLog> {
  const opened = await OpenLog.createAt(directory, SEGMENT_BYTES_MAX, { archive })
  await persistAll(opened, records)
  return opened
}

async function reopened(directory: string): Promise<readonly VoteRecord[]> {
  const opened = await OpenLog.at(directory, SEGMENT_BYTES_MAX)
  await opened.log.close()
  return opened.recovered
}

describe('[CP1] the cut', () => {
  test('takes whole old segments, and what a start needs is still there', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, HISTORY)
    const before = segmentsIn(directory.path)
    await opened.log.cut(seq(15))
    const left = segmentsIn(directory.path)
    expect(left.length).toBeLessThan(before.length)
    expect(left).toEqual(before.slice(-left.length))
    const served = opened.log.servedFrom()
    expect(served).toBeGreaterThan(10)
    expect(served).toBeLessThanOrEqual(15)
    expect(await opened.log.readCommitted(all)).toEqual([])
    const entries = await opened.log.readCommitted({ ...all, from: seq(served + 1) })
    expect(entries.map((entry) => entry.seq)).toEqual(range(served + 1, 30))
    await opened.log.close()

    const again = await OpenLog.at(directory.path, SEGMENT_BYTES_MAX)
    expect(again.recovered).toEqual(wantedRecords(HISTORY))
    expect(again.stats.records).toBe(HISTORY.length)
    expect(again.log.servedFrom()).toBe(served)
    await again.log.close()
  })

  test('[D5] [VC3] standing records survive any number of cuts, the newest of each kind', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, HISTORY)
    for (let round = 1; round <= 4; round++) {
      const at = 20 + 10 * round
      await persistAll(opened, [...range(at + 1, at + 10).flatMap(ordered), stable(at)])
      await opened.log.cut(seq(at))
    }
    await opened.log.close()
    expect(segmentsIn(directory.path)[0]).toBeGreaterThan(8)
    const standing = (await reopened(directory.path)).filter(
      ({ kind }) =>
        kind === 'amnesia' || kind === 'recovered' || kind === 'view-change' || kind === 'new-view',
    )
    expect(standing).toEqual([AMNESIA, recovered(7), newView(1), viewChange(2)])
  })

  test('[D4] leaves all at and above the stable checkpoint, however high it is asked for', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, HISTORY)
    await opened.log.cut(seq(10_000))
    expect(opened.log.servedFrom()).toBeLessThan(20)
    await opened.log.close()
    expect(await reopened(directory.path)).toEqual(wantedRecords(HISTORY))

    using other = temporaryDirectory()
    const unstable = HISTORY.filter(({ kind }) => kind !== 'stable')
    const kept = await logOf(other.path, unstable)
    const before = segmentsIn(other.path)
    await kept.log.cut(seq(10_000))
    expect(segmentsIn(other.path)).toEqual(before)
    await kept.log.close()
  })

  test('[D4] waits until the stable checkpoint that stands for it is durable', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(
      directory.path,
      HISTORY.filter(({ kind }) => kind !== 'stable'),
    )
    syscalls.revive()
    opened.append(stable(20))
    await opened.log.cut(seq(15))
    const synced = syscalls.made.findIndex((call) => call.startsWith('datasync votes-'))
    const removed = syscalls.made.findIndex((call) => call.startsWith('rm '))
    expect(synced).toBeGreaterThanOrEqual(0)
    expect(removed).toBeGreaterThan(synced)
    await opened.log.close()
  })

  test('[D2] syncs the directory between one segment and the next: no power cut leaves a hole', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, HISTORY)
    syscalls.revive()
    await opened.log.cut(seq(15))
    const calls = syscalls.made.filter((call) => /^(rm|sync)/.test(call))
    const removals = calls.filter((call) => call.startsWith('rm '))
    expect(removals.length).toBeGreaterThan(2)
    expect(removals).toEqual(removals.toSorted())
    expect(calls.filter((_, i) => i % 2 === 0)).toEqual(removals)
    expect(calls.filter((_, i) => i % 2 === 1).every((call) => call.startsWith('sync pbft-'))).toBe(true)
    await opened.log.close()
  })

  test('with `archive` the segments are kept, and put back they are the whole log again', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, HISTORY, true)
    const before = segmentsIn(directory.path)
    await opened.log.cut(seq(15))
    await opened.log.close()
    const archive = join(directory.path, 'archive')
    const moved = segmentsIn(archive)
    expect([...moved, ...segmentsIn(directory.path)]).toEqual(before)
    expect(moved.length).toBeGreaterThan(0)
    for (const name of readdirSync(archive)) renameSync(join(archive, name), join(directory.path, name))
    const whole = await OpenLog.at(directory.path, SEGMENT_BYTES_MAX)
    expect(whole.log.servedFrom()).toBe(0)
    expect(await whole.log.readCommitted(all)).toHaveLength(30)
    await whole.log.close()
  })

  test('[CP5] a read under way meets no error: it is finished or ends early', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, HISTORY)
    const reads = range(1, 20).map(() => opened.log.readCommitted(all))
    const cut = opened.log.cut(seq(15))
    const later = range(1, 20).map(() => opened.log.readCommitted(all))
    await cut
    for (const entries of await Promise.all([...reads, ...later])) {
      expect(entries.map((entry) => entry.seq)).toEqual(range(1, entries.length))
    }
    await opened.log.close()
  })

  test('[CP5] batches that an installed state stands for are not offered', async () => {
    using directory = temporaryDirectory()
    const opened = await logOf(directory.path, [...range(1, 5).flatMap(ordered), stable(40), ...ordered(41)])
    expect(opened.log.servedFrom()).toBe(40)
    await opened.log.close()
    const again = await OpenLog.at(directory.path)
    expect(again.log.servedFrom()).toBe(40)
    await again.log.close()
  })
})

describe('[D2] what is missing after a cut', () => {
  async function cutLog(directory: string): Promise<number[]> {
    const opened = await logOf(directory, HISTORY)
    await opened.log.cut(seq(15))
    await opened.log.close()
    return segmentsIn(directory)
  }
  const file = (directory: string, segment: number) =>
    join(directory, `votes-${String(segment).padStart(8, '0')}.log`)

  test('a hole in the middle, or a first segment that no cut takes, is damage and named', async () => {
    using directory = temporaryDirectory()
    const left = await cutLog(directory.path)
    const middle = file(directory.path, (left[0] ?? 0) + 1)
    const bytes = readFileSync(middle)
    rmSync(middle)
    await expect(OpenLog.at(directory.path)).rejects.toMatchObject({ code: 'corrupt', file: middle })
    writeFileSync(middle, bytes)

    for (const segment of left.slice(0, -1)) rmSync(file(directory.path, segment))
    const gone = file(directory.path, (left.at(-1) ?? 0) - 1)
    await expect(OpenLog.at(directory.path)).rejects.toMatchObject({ code: 'corrupt', file: gone })
  })

  test('damage to a standing record that a segment carries is no torn write', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path, 2_000)
    await opened.persist(viewChange(1))
    await opened.persist(prePrepare(1), prepared(1))
    for (const n of range(2, 8)) await opened.persist(prePrepare(n), prepared(n))
    await opened.log.close()
    const last = file(directory.path, segmentsIn(directory.path).at(-1) ?? 0)
    const bytes = readFileSync(last)
    bytes.writeUInt8(bytes.readUInt8(500) ^ 1, 500)
    writeFileSync(last, bytes)
    await expect(OpenLog.at(directory.path)).rejects.toThrow(/a record that stays in force is unreadable/)
  })
})

test.each([false, true])(
  '[D1] [CP1] killed in any system call of writing and cutting (archive: %s), the log is what it was',
  async (archive) => {
    using base = temporaryDirectory()
    await (await logOf(base.path, HISTORY)).log.close()
    const more = [...ordered(31), viewChange(3), newView(3), ...range(32, 35).flatMap(ordered)]
    for (let call = 1, died = true; died; call++) {
      using directory = temporaryDirectory()
      const [live, dead] = [join(directory.path, 'live'), join(directory.path, 'dead')]
      copyLog(base.path, live)
      const opened = await OpenLog.at(live, SEGMENT_BYTES_MAX, { archive })
      syscalls.dieIn(call)
      const cut = opened.log.cut(seq(15)).catch(() => {})
      await Promise.race([persistAll(opened, more), opened.failed()])
      await cut
      died = syscalls.revive()
      copyLog(live, dead)
      await opened.log.close()

      const appended = [...HISTORY, ...more]
      const after = await OpenLog.at(dead, SEGMENT_BYTES_MAX)
      expect(after.stats.records).toBeGreaterThanOrEqual(HISTORY.length + opened.persisted)
      expect(after.recovered).toEqual(wantedRecords(appended.slice(0, after.stats.records)))
      await after.log.cut(seq(15))
      await after.log.close()
      expect(await reopened(dead)).toEqual(after.recovered)
      expect(existsSync(join(dead, 'votes-00000001.log'))).toBe(false)
    }
  },
)
