import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { seq } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { type LogDamage, scanVoteLog } from '../../replica/runtime/vote-log/offline-scan.ts'
import { decodeRecord } from '../../replica/runtime/vote-log/record-codec.ts'
import { segmentPath } from '../../replica/runtime/vote-log/segment-file.ts'
import { listSegments } from '../../replica/runtime/vote-log/segment-list.ts'
import { VoteLog } from '../../replica/runtime/vote-log/vote-log.ts'
import {
  batchNumber,
  checkpoint,
  committed,
  IDENTITY,
  newView,
  OpenLog,
  prePrepare,
  prepared,
  stable,
  temporaryDirectory,
  viewChange,
} from './vote-log-fixture.ts'

/** Every record of a directory, and what was damaged. */
async function scanned(directory: string): Promise<{ records: VoteRecord[]; damage: LogDamage[] }> {
  const records: VoteRecord[] = []
  const damage: LogDamage[] = []
  for await (const segment of scanVoteLog(directory)) {
    damage.push(...segment.damage)
    for (const { payload } of segment.records) {
      const record = decodeRecord(payload)
      if (record !== undefined) records.push(record)
    }
  }
  return { records, damage }
}

const RECORDS: readonly VoteRecord[] = [
  viewChange(1),
  newView(1),
  ...Array.from({ length: 40 }, (_, i) => i + 1).flatMap((n) => [
    prePrepare(n, { v: 1, batch: batchNumber(n, 300) }),
    prepared(n, 1),
    committed(n, { batch: batchNumber(n, 300) }),
    ...(n % 8 === 0 ? [checkpoint(n), stable(n)] : []),
  ]),
]

/** Several small segments; the first are in the archive when `archive`. */
async function written(directory: string, archive: boolean): Promise<OpenLog> {
  const log = await OpenLog.createAt(directory, 8_000, { archive })
  for (const record of RECORDS) {
    log.append(record)
    log.log.flush()
    if (record.kind === 'stable') await log.settled()
  }
  if (archive) await log.log.cut(seq(24))
  return log
}

test('all records in order, while the log is open, archive included', async () => {
  using directory = temporaryDirectory()
  const log = await written(directory.path, true)
  const { records, damage } = await scanned(directory.path)
  expect((await listSegments(join(directory.path, 'archive'))).length).toBeGreaterThan(1)
  expect(damage).toEqual([])
  expect(records).toEqual(RECORDS.slice(0, records.length))
  expect(records.length).toBeGreaterThan(RECORDS.length - 5)
  await log.log.close()
  expect((await scanned(directory.path)).records).toEqual(RECORDS)
})

test('a log that replaces a lost one begins with what says so', async () => {
  using directory = temporaryDirectory()
  const path = join(directory.path, 'votes')
  await VoteLog.replaceLost(path, IDENTITY)
  expect((await scanned(path)).records).toEqual([{ kind: 'amnesia' }])
})

test('segments that were cut without an archive leave their standing records to the first that is there', async () => {
  using directory = temporaryDirectory()
  const log = await written(directory.path, false)
  await log.log.cut(seq(24))
  await log.log.close()
  const { records, damage } = await scanned(directory.path)
  expect(damage).toEqual([])
  expect(records.slice(0, 2)).toEqual(RECORDS.slice(0, 2))
  expect(records.slice(2)).toEqual(RECORDS.slice(2 - records.length))
})

test('a torn end is none, and no damage', async () => {
  using directory = temporaryDirectory()
  await (await written(directory.path, false)).log.close()
  const [last = 0] = (await listSegments(directory.path)).toReversed()
  const file = segmentPath(directory.path, last)
  const bytes = readFileSync(file)
  truncateSync(file, bytes.findLastIndex((byte) => byte !== 0) - 10)
  const { records, damage } = await scanned(directory.path)
  expect(damage).toEqual([])
  expect(records).toEqual(RECORDS.slice(0, records.length))
})

test('a segment that is missing, one that was cut short, and a byte that was flipped are named', async () => {
  using directory = temporaryDirectory()
  await (await written(directory.path, false)).log.close()
  const second = segmentPath(directory.path, 2)
  const whole = readFileSync(second)

  renameSync(second, `${second}.away`)
  expect((await scanned(directory.path)).damage).toContainEqual({
    file: second,
    offset: 0,
    why: 'the segment is missing',
  })

  const flipped = Buffer.from(whole)
  flipped.writeUInt8(flipped.readUInt8(4_000) ^ 1, 4_000)
  writeFileSync(second, flipped)
  expect((await scanned(directory.path)).damage).toContainEqual(
    expect.objectContaining({ file: second, why: expect.stringMatching(/^record \d+ is unreadable$/) }),
  )

  writeFileSync(second, whole.subarray(0, 40))
  expect((await scanned(directory.path)).damage).toContainEqual(
    expect.objectContaining({ file: second, why: 'the header is unreadable' }),
  )
  rmSync(second)
})

test('a directory that is not there has no records', async () => {
  using directory = temporaryDirectory()
  expect(await scanned(join(directory.path, 'nothing'))).toEqual({ records: [], damage: [] })
})
