import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seq } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { MARK_FRAME, readFrame, scanFrames } from '../../replica/runtime/vote-log/frames.ts'
import { decodeSegmentHeader } from '../../replica/runtime/vote-log/segment-header.ts'
import { VoteLogError } from '../../replica/runtime/vote-log/vote-log-error.ts'
import { wantedRecords } from '../../replica/runtime/vote-log/wanted-records.ts'
import {
  batchNumber,
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

/** Small, so that a run goes through several segments. */
const SEGMENT_BYTES_MAX = 3_000

type Step =
  | { readonly do: 'append'; readonly kind: VoteRecord['kind']; readonly bytes: number }
  | { readonly do: 'flush' | 'turn' | 'settle' | 'read' | 'cut' }

const VOTES = ['pre-prepare', 'prepared', 'committed'] as const
const STANDING = ['view-change', 'new-view', 'recovered'] as const
const CHECKPOINTS = ['checkpoint', 'stable'] as const

const stepOf = (kinds: readonly VoteRecord['kind'][]): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        kind: fc.constantFrom(...kinds),
        bytes: fc.integer({ min: 1, max: 400 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('flush', 'turn', 'settle', 'read', 'cut') }) },
  )

function recordOf(n: number, kind: VoteRecord['kind'], bytes: number): VoteRecord {
  switch (kind) {
    case 'pre-prepare':
      return prePrepare(n, { batch: batchNumber(n, bytes) })
    case 'prepared':
      return prepared(n)
    case 'stable':
      return stable(Math.max(1, n - 5))
    case 'checkpoint':
      return checkpoint(Math.max(1, n - 3))
    case 'view-change':
      return viewChange(n)
    case 'new-view':
      return newView(n)
    case 'recovered':
      return recovered(n)
    default:
      return committed(n)
  }
}

/** Takes the steps; returns what was appended. Nothing is waited for after the last one. */
async function take(steps: readonly Step[], opened: OpenLog): Promise<VoteRecord[]> {
  const appended: VoteRecord[] = []
  for (const next of steps) {
    if (next.do === 'append') {
      const record = recordOf(appended.length + 1, next.kind, next.bytes)
      appended.push(record)
      opened.append(record)
    } else if (next.do === 'flush') opened.log.flush()
    else if (next.do === 'turn') await new Promise(setImmediate)
    else if (next.do === 'read') await opened.log.readCommitted({ from: seq(1), upTo: seq(9), bytesMax: 1 })
    else if (next.do === 'cut') void opened.log.cut(seq(appended.length)).catch(() => {})
    else {
      const vote = prepared(appended.length + 1)
      appended.push(vote)
      await opened.persist(vote)
    }
  }
  return appended
}

type Tear = { readonly how: 'keep' | 'cut' | 'zero' | 'noise'; readonly at: number; readonly length: number }
const tear: fc.Arbitrary<Tear> = fc.record({
  how: fc.constantFrom('keep', 'cut', 'zero', 'noise'),
  at: fc.nat(2_000),
  length: fc.integer({ min: 1, max: 700 }),
})

/** What an interrupted write may do to the bytes from `synced` on, a lost page in their middle included. */
function tearTail(file: string, synced: number, { how, at, length }: Tear): void {
  const bytes = readFileSync(file)
  const start = Math.min(synced + at, bytes.length)
  if (how === 'cut') return writeFileSync(file, bytes.subarray(0, start))
  const end = Math.min(start + length, bytes.length)
  if (how === 'zero') bytes.fill(0, start, end)
  if (how === 'noise') bytes.fill('noise', start, end)
  writeFileSync(file, bytes)
}

test('[D1] [D2] after a crash at any instant a prefix comes back, with all that was reported persisted', async () => {
  const run = async (steps: readonly Step[], damage: Tear) => {
    using directory = temporaryDirectory()
    const [live, dead] = [join(directory.path, 'live'), join(directory.path, 'dead')]
    const opened = await OpenLog.createAt(live, SEGMENT_BYTES_MAX)
    const appended = await take(steps, opened)
    const { persisted } = opened
    const synced = opened.log.lastSyncedLength()
    copyLog(live, dead)
    await opened.log.close()
    tearTail(join(dead, basename(synced.segment)), synced.bytes, damage)

    const after = await OpenLog.at(dead, SEGMENT_BYTES_MAX)
    const { records } = after.stats
    expect(records).toBeGreaterThanOrEqual(persisted)
    expect(after.recovered).toEqual(wantedRecords(appended.slice(0, records)))
    // And it goes on from there.
    const more = [prePrepare(900), prepared(901)]
    await after.persist(...more)
    await after.log.close()
    const again = await OpenLog.at(dead, SEGMENT_BYTES_MAX)
    expect(again.recovered).toEqual([...after.recovered, ...more])
    expect(again.stats.tornBytesCut).toBe(0)
    await again.log.close()
  }
  await fc.assert(
    fc.asyncProperty(fc.array(stepOf([...VOTES, ...STANDING, ...CHECKPOINTS]), { maxLength: 60 }), tear, run),
    { numRuns: 60 },
  )
})

/** Where the records of a file end and begin; its last mark, if any, is not one. */
function layoutOf(file: string): { starts: readonly number[]; end: number } {
  const bytes = readFileSync(file)
  const read = decodeSegmentHeader(bytes)
  if (read.kind !== 'header') throw new Error(read.kind)
  const { header } = read
  const starts = [0]
  for (let at = read.bytes; at < read.bytes + header.carriedBytes; ) {
    starts.push(at)
    const frame = readFrame(bytes, at, header.marker)
    if (typeof frame === 'string') throw new Error(frame)
    at += frame.length
  }
  const start = read.bytes + header.carriedBytes
  const { frames } = scanFrames(bytes, { ...header, start })
  const records = frames.filter((frame) => frame.type !== MARK_FRAME)
  const last = records.at(-1)
  const end = last === undefined ? start : last.offset + last.length
  return { starts: [...starts, ...records.map((frame) => frame.offset)], end }
}

test('[D2] after a clean stop a flipped bit anywhere in header or records is reported with its place', async () => {
  const run = async (steps: readonly Step[], whichFile: number, whichByte: number, bit: number) => {
    using directory = temporaryDirectory()
    const opened = await OpenLog.createAt(directory.path, SEGMENT_BYTES_MAX)
    const appended = await take(steps, opened)
    await opened.log.close()
    const files = readdirSync(directory.path).filter((name) => name.endsWith('.log'))
    const file = join(directory.path, files[whichFile % files.length] ?? '')
    const { starts, end } = layoutOf(file)
    const at = whichByte % end
    const bytes = readFileSync(file)
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
    writeFileSync(file, bytes)

    const failure = await OpenLog.at(directory.path).then(
      (log) => log.log.close(),
      (error: unknown) => error,
    )
    if (!(failure instanceof VoteLogError))
      throw new Error(`${appended.length} records, damage at ${at} unseen`)
    const start = starts.findLast((offset) => offset <= at)
    expect(failure).toMatchObject({ code: 'corrupt', file, offset: start })
  }
  const numbers = [fc.nat(), fc.nat(), fc.nat(7)] as const
  await fc.assert(
    fc.asyncProperty(fc.array(stepOf([...VOTES, ...STANDING]), { maxLength: 30 }), ...numbers, run),
    { numRuns: 60 },
  )
})

test('[D2] after a kill a flipped bit is reported, or only the last, unproven group is cut', async () => {
  const run = async (groups: number, whichByte: number) => {
    using directory = temporaryDirectory()
    const [live, dead] = [join(directory.path, 'live'), join(directory.path, 'dead')]
    const opened = await OpenLog.createAt(live)
    for (let n = 1; n <= groups; n++) await opened.persist(prePrepare(n), prepared(n))
    copyLog(live, dead)
    await opened.log.close()
    const file = join(dead, 'votes-00000001.log')
    const { starts, end } = layoutOf(file)
    const at = whichByte % end
    const bytes = readFileSync(file)
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    writeFileSync(file, bytes)

    const lastGroup = starts.at(-2) ?? 0
    if (at < lastGroup) {
      await expect(OpenLog.at(dead)).rejects.toMatchObject({ code: 'corrupt', file })
    } else {
      const after = await OpenLog.at(dead)
      expect(after.recovered.length).toBeGreaterThanOrEqual(2 * (groups - 1))
      await after.log.close()
    }
  }
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.nat(), run), { numRuns: 40 })
})
