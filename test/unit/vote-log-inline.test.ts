import { fdatasyncSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { INLINE_SYNC_MS_MAX, SyncPace } from '../../replica/runtime/vote-log/sync-pace.ts'
import { committed, OpenLog, prePrepare, prepared, temporaryDirectory } from './vote-log-fixture.ts'

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>()
  return { ...real, writeSync: vi.fn(real.writeSync), fdatasyncSync: vi.fn(real.fdatasyncSync) }
})

afterEach(() => {
  vi.clearAllMocks()
})

const calls = { writeSync: vi.mocked(writeSync), fdatasyncSync: vi.mocked(fdatasyncSync) }
const ALWAYS = Number.POSITIVE_INFINITY
const SEGMENT_BYTES = 2 ** 12

/** Its first fdatasync went through the thread pool, so that the disk's pace is known. */
async function openInline(directory: string): Promise<OpenLog> {
  const opened = await OpenLog.createAt(directory, SEGMENT_BYTES, { inlineSyncMsMax: ALWAYS })
  await opened.persist(prePrepare(1))
  vi.clearAllMocks()
  return opened
}

describe('[D2] a quick disk is waited for', () => {
  test('what was appended is durable when it is reported, over segments, and there after a restart', async () => {
    using directory = temporaryDirectory()
    const opened = await openInline(directory.path)
    const records = [prePrepare(1)]
    for (let n = 2; n <= 40; n++) {
      const group = [prePrepare(n), committed(n), prepared(n)]
      await opened.persist(...group)
      records.push(...group)
      expect(opened.log.lastSyncedLength().bytes).toBeGreaterThan(0)
    }
    expect(opened.persisted).toBe(records.length)
    expect(fdatasyncSync).toHaveBeenCalledTimes(39)
    await opened.log.close()
    const again = await OpenLog.at(directory.path)
    expect(again.stats.segments).toBeGreaterThan(1)
    expect(again.recovered).toEqual(records)
    await again.log.close()
  })

  test('[D1] nothing is reported before its fdatasync returned', async () => {
    using directory = temporaryDirectory()
    const opened = await openInline(directory.path)
    const reported: number[] = []
    calls.fdatasyncSync.mockImplementationOnce(() => void reported.push(opened.persisted))
    await opened.persist(prePrepare(2))
    expect(reported).toEqual([1])
    expect(opened.persisted).toBe(2)
    await opened.log.close()
  })

  test.each(['writeSync', 'fdatasyncSync'] as const)(
    'a failed %s stops the log and is never retried',
    async (name) => {
      using directory = temporaryDirectory()
      const opened = await openInline(directory.path)
      calls[name].mockImplementationOnce(() => {
        throw new Error('EIO: disk on fire')
      })
      opened.append(prePrepare(2))
      opened.log.flush()
      await vi.waitUntil(() => opened.failures.length > 0)
      expect(opened.failures).toMatchObject([
        { code: 'io', file: join(directory.path, 'votes-00000001.log') },
      ])
      opened.append(prePrepare(3))
      opened.log.flush()
      await opened.log.close()
      expect(calls[name]).toHaveBeenCalledTimes(1)
      expect(opened.persisted).toBe(1)
      expect(opened.failures).toHaveLength(1)
    },
  )
})

describe('the pace of a disk', () => {
  test('one that nobody waited for yet is not waited for, nor one that is slow', () => {
    const pace = new SyncPace(INLINE_SYNC_MS_MAX)
    expect(pace.isInline).toBe(false)
    pace.took(0.3)
    expect(pace.isInline).toBe(true)
    for (let i = 0; i < 3; i++) pace.took(30)
    expect(pace.isInline).toBe(false)
    for (let i = 0; i < 20; i++) pace.took(0.3)
    expect(pace.isInline).toBe(true)
  })

  test('with a bound of 0 no disk is', () => {
    const pace = new SyncPace(0)
    pace.took(0)
    expect(pace.isInline).toBe(false)
  })
})
