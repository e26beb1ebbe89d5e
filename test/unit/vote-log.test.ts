import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { digestOf } from '../../protocol/crypto.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { replicaId, seq } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { VoteLog } from '../../replica/runtime/vote-log/vote-log.ts'
import {
  batchNumber,
  batchRecord,
  checkpoint,
  committed,
  IDENTITY,
  OpenLog,
  prePrepare,
  prepared,
  stable,
  temporaryDirectory,
} from './vote-log-fixture.ts'

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** What all open files share; spying on it is how a test makes the disk fail. */
async function fileHandlePrototype(directory: string): Promise<Awaited<ReturnType<typeof open>>> {
  await using handle = await open(directory, 'r')
  return Object.getPrototypeOf(handle)
}

const flipBit = (file: string, at: number): void => {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  writeFileSync(file, bytes)
}

const FIRST = 'votes-00000001.log'
const all = { from: seq(1), upTo: seq(10_000), bytesMax: 2 ** 30 }
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('[D2] group commit', () => {
  test('what was appended is durable when it is reported, and there after a restart', async () => {
    using directory = temporaryDirectory()
    const records = [prePrepare(1), prepared(1), committed(1), checkpoint(1)]
    const first = await OpenLog.createAt(directory.path)
    await first.persist(...records)
    expect(first.persisted).toBe(4)
    await first.log.close()
    const second = await OpenLog.at(directory.path)
    expect(second.recovered).toEqual(records)
    expect(second.stats).toEqual({ segments: 1, records: 4, tornBytesCut: 0 })
    await second.log.close()
  })

  test('votes that come during a write share the next one', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    const syncs = vi.spyOn(await fileHandlePrototype(directory.path), 'datasync')
    for (const n of range(1, 20)) {
      opened.append(prePrepare(n))
      opened.log.flush()
    }
    await opened.settled()
    expect(syncs).toHaveBeenCalledTimes(2)
    await opened.log.close()
  })

  test('[D1] a record that is no vote waits for a vote, or for the bound', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const syncs = vi.spyOn(await fileHandlePrototype(directory.path), 'datasync')
    opened.append(committed(1))
    opened.log.flush()
    expect(syncs).not.toHaveBeenCalled()
    await opened.persist(prePrepare(2))
    expect(syncs).toHaveBeenCalledTimes(1)

    opened.append(committed(2))
    opened.log.flush()
    await vi.advanceTimersByTimeAsync(20)
    await opened.settled()
    expect(opened.persisted).toBe(3)
    await opened.log.close()
  })

  test('a vote appended while an earlier read has it written is still synced by its flush', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    opened.append(prePrepare(1))
    await opened.log.readCommitted(all)
    expect(opened.persisted).toBe(0)
    opened.log.flush()
    await opened.settled()
    await opened.log.close()
  })

  test('lastSyncedLength is what a power cut leaves', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    await opened.persist(prePrepare(1))
    const { segment, bytes } = opened.log.lastSyncedLength()
    opened.append(prePrepare(2))
    await opened.log.close()
    writeFileSync(segment, readFileSync(segment).subarray(0, bytes))
    const after = await OpenLog.at(directory.path)
    expect(after.recovered).toEqual([prePrepare(1)])
    await after.log.close()
  })

  test.each(['write', 'datasync'] as const)(
    'a failed %s stops the log and is never retried',
    async (call) => {
      using directory = temporaryDirectory()
      const opened = await OpenLog.createAt(directory.path)
      const calls = vi
        .spyOn(await fileHandlePrototype(directory.path), call)
        .mockRejectedValueOnce(new Error('EIO: disk on fire'))
      opened.append(prePrepare(1))
      opened.log.flush()
      await vi.waitUntil(() => opened.failures.length > 0)
      expect(opened.failures).toMatchObject([{ code: 'io', file: join(directory.path, FIRST) }])
      opened.append(prePrepare(2))
      opened.log.flush()
      await opened.log.close()
      expect(calls).toHaveBeenCalledTimes(1)
      expect(opened.persisted).toBe(0)
      expect(opened.failures).toHaveLength(1)
    },
  )
})

describe('[D2] start', () => {
  test('create refuses to overwrite a log', async () => {
    using directory = temporaryDirectory()
    await VoteLog.create(directory.path, IDENTITY)
    await expect(VoteLog.create(directory.path, IDENTITY)).rejects.toMatchObject({ code: 'exists' })
  })

  test('[D5] a missing log is said to be missing, and nothing is made in its place', async () => {
    using directory = temporaryDirectory()
    const path = join(directory.path, 'votes')
    await expect(VoteLog.open(path, IDENTITY)).rejects.toMatchObject({ code: 'missing', file: path })
    expect(existsSync(path)).toBe(false)
    mkdirSync(path)
    await expect(VoteLog.open(path, IDENTITY)).rejects.toMatchObject({ code: 'missing' })
    expect(readdirSync(path)).toEqual([])
  })

  test('the log of another cluster or replica is foreign', async () => {
    using directory = temporaryDirectory()
    await VoteLog.create(directory.path, IDENTITY)
    const genesisDigest = digestOf(Buffer.from('another genesis'))
    const open = (other: object) => VoteLog.open(directory.path, { ...IDENTITY, ...other })
    await expect(open({ genesisDigest })).rejects.toMatchObject({ code: 'foreign' })
    await expect(open({ replica: replicaId(3) })).rejects.toThrow(/replica 2, and this is replica 3/)
  })

  test.each([1, 3])('format %i is another version, not damage', async (version) => {
    using directory = temporaryDirectory()
    await VoteLog.create(directory.path, IDENTITY)
    const file = join(directory.path, FIRST)
    const bytes = readFileSync(file)
    bytes.writeUInt32BE(version, 12)
    bytes.writeUInt32BE(crc32(bytes.subarray(12)), 8)
    writeFileSync(file, bytes)
    await expect(VoteLog.open(directory.path, IDENTITY)).rejects.toMatchObject({ code: 'other-version' })
  })

  test('recovery starts at the newest stable checkpoint and reads no segment below it', async () => {
    using directory = temporaryDirectory()
    const first = await OpenLog.createAt(directory.path, 2_000)
    for (const n of range(1, 30)) await first.persist(prePrepare(n), committed(n), prepared(n))
    const kept = [checkpoint(20), stable(20), prePrepare(31), committed(31), checkpoint(32)]
    for (const record of kept) await first.persist(record, prepared(31))
    await first.log.close()
    expect(readdirSync(directory.path).filter((name) => name.endsWith('.log')).length).toBeGreaterThan(10)

    flipBit(join(directory.path, FIRST), 600)
    const second = await OpenLog.at(directory.path, 2_000)
    const above = range(21, 30).flatMap((n) => [prePrepare(n), committed(n), prepared(n)])
    expect(second.recovered).toEqual([...above, ...kept.flatMap((record) => [record, prepared(31)])])
    // What is damaged holds no vote that still binds: it is passed over, and reported once.
    const damage: unknown[] = []
    second.log.onDamage = (error) => damage.push(error)
    expect(second.log.servedFrom()).toBe(0)
    expect(await second.log.readCommitted(all)).toEqual([])
    expect(await second.log.readCommitted(all)).toEqual([])
    expect(damage).toMatchObject([{ code: 'corrupt', file: join(directory.path, FIRST) }])
    expect(second.log.servedFrom()).toBeGreaterThan(0)
    expect(await second.log.readCommitted({ ...all, from: seq(10) })).toHaveLength(22)
    await second.log.close()
  })

  test('a segment that is gone, or shorter than its successor says, is named', async () => {
    using directory = temporaryDirectory()
    const first = await OpenLog.createAt(directory.path, 2_000)
    for (const n of range(1, 12)) await first.persist(prePrepare(n), prepared(n))
    await first.log.close()
    const second = join(directory.path, 'votes-00000002.log')
    const bytes = readFileSync(second)
    writeFileSync(second, bytes.subarray(0, 700))
    await expect(OpenLog.at(directory.path)).rejects.toMatchObject({
      code: 'corrupt',
      file: second,
      offset: 700,
    })
    writeFileSync(second, bytes)
    const kept = readFileSync(join(directory.path, FIRST))
    writeFileSync(join(directory.path, FIRST), Buffer.from(bytes))
    await expect(OpenLog.at(directory.path)).rejects.toThrow(/the header is that of another segment/)
    writeFileSync(join(directory.path, FIRST), kept)
    await (await OpenLog.at(directory.path)).log.close()
  })

  test('what an interrupted start of a segment left is removed', async () => {
    using directory = temporaryDirectory()
    await VoteLog.create(directory.path, IDENTITY)
    const leftover = join(directory.path, 'votes-00000002.log.unfinished')
    writeFileSync(leftover, 'half a header')
    await (await OpenLog.at(directory.path)).log.close()
    expect(existsSync(leftover)).toBe(false)
  })
})

describe('[CP5] readCommitted', () => {
  /** Persists the records one by one, so that they spread over many small segments. */
  async function logWith(directory: string, records: readonly VoteRecord[], segmentBytesMax = 1_500) {
    const opened = await OpenLog.createAt(directory, segmentBytesMax)
    for (const record of records) await opened.persist(record, prepared(1))
    return opened
  }
  const seqs = async (log: VoteLog, wanted: object = {}) =>
    (await log.readCommitted({ ...all, ...wanted })).map((entry) => entry.seq)

  test('gives body and mark however far apart, after a restart too', async () => {
    using directory = temporaryDirectory()
    const bodies = range(1, 8).map((n) => (n % 2 === 0 ? prePrepare(n) : batchRecord(n)))
    const opened = await logWith(directory.path, [...bodies, ...range(1, 8).map((n) => committed(n))])
    const expected = range(1, 8).map((n) => {
      const mark = committed(n)
      if (mark.kind !== 'committed') throw new Error('unreachable')
      return {
        seq: mark.seq,
        view: mark.view,
        digest: mark.digest,
        commits: mark.commits,
        batch: batchNumber(n),
      }
    })
    expect(await opened.log.readCommitted(all)).toEqual(expected)
    await opened.log.close()
    const again = await OpenLog.at(directory.path)
    expect(await again.log.readCommitted(all)).toEqual(expected)
    expect(await seqs(again.log, { from: seq(3), upTo: seq(5) })).toEqual([3, 4, 5])
    await again.log.close()
  })

  test('damage to a segment that is not below the stable checkpoint is no matter of serving [D5]', async () => {
    using directory = temporaryDirectory()
    const records = range(1, 8).flatMap((n) => [prePrepare(n), committed(n)])
    const opened = await logWith(directory.path, records)
    flipBit(join(directory.path, FIRST), 600)
    const again = opened.log.readCommitted(all)
    await expect(again).rejects.toMatchObject({ code: 'corrupt', file: join(directory.path, FIRST) })
    await opened.log.close()
  })

  test('a null batch needs no body', async () => {
    using directory = temporaryDirectory()
    const opened = await logWith(directory.path, [
      prePrepare(1),
      committed(1),
      committed(2, { batch: NULL_BATCH }),
    ])
    const entries = await opened.log.readCommitted(all)
    expect(entries.map(({ batch }) => batch)).toEqual([batchNumber(1), NULL_BATCH])
    await opened.log.close()
  })

  test('ends before the first number without mark or body', async () => {
    using directory = temporaryDirectory()
    const records = [1, 2, 4].flatMap((n) => [prePrepare(n), committed(n)])
    const opened = await logWith(directory.path, [...records, prePrepare(3)])
    expect(await seqs(opened.log)).toEqual([1, 2])
    expect(await seqs(opened.log, { from: seq(5) })).toEqual([])
    await opened.persist(committed(3), prepared(1))
    expect(await seqs(opened.log)).toEqual([1, 2, 3, 4])
    await opened.log.close()
  })

  test('gives the batch that the mark names, and the mark with a proof', async () => {
    using directory = temporaryDirectory()
    const other = batchNumber(77)
    const opened = await logWith(directory.path, [
      prePrepare(1),
      prePrepare(1, { v: 1, batch: other }),
      committed(1, { v: 1, commits: [] }),
      committed(1),
      committed(1, { v: 2, commits: [] }),
    ])
    const [entry] = await opened.log.readCommitted(all)
    expect(entry).toMatchObject({ view: 0, digest: batchNumber(1).digest, batch: batchNumber(1) })
    expect(entry?.commits).toHaveLength(3)
    await opened.log.close()
  })

  test('gives one entry whatever its size, and no more than bytesMax of them else', async () => {
    using directory = temporaryDirectory()
    const records = range(1, 4).flatMap((n) => [prePrepare(n), committed(n)])
    const opened = await logWith(directory.path, records)
    expect(await seqs(opened.log, { bytesMax: 1 })).toEqual([1])
    expect(await seqs(opened.log, { bytesMax: 700 })).toEqual([1, 2, 3])
    await opened.log.close()
  })

  test('sees what was appended and not yet written', async () => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path)
    opened.append(batchRecord(1), committed(1))
    expect(await seqs(opened.log)).toEqual([1])
    await opened.log.close()
  })
})
