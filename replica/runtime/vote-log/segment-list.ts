import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Seq } from '../../../protocol/types.ts'
import { segmentOfName, segmentPath, UNFINISHED_SUFFIX } from './segment-file.ts'
import {
  decodeSegmentHeader,
  emptyContent,
  FORMAT_VERSION,
  type LogIdentity,
  SEGMENT_HEADER_BYTES_MAX,
  type SegmentHeader,
} from './segment-header.ts'
import type { Segment } from './segment-scan.ts'
import { corruptAt, guarded, VoteLogError } from './vote-log-error.ts'

/** The numbers of the segments in `directory`, ascending; none when there is no such directory. */
export async function listSegments(directory: string): Promise<number[]> {
  const names = await namesIn(directory)
  return names.flatMap((name) => segmentOfName(name) ?? []).sort((a, b) => a - b)
}

/** What a process that died while it made a segment left behind. */
export async function removeUnfinished(directory: string): Promise<void> {
  const names = await namesIn(directory)
  const unfinished = names.filter((name) => name.endsWith(UNFINISHED_SUFFIX))
  await guarded(directory, 'removing an unfinished segment', () =>
    Promise.all(unfinished.map((name) => rm(join(directory, name)))),
  )
}

function namesIn(directory: string): Promise<string[]> {
  return guarded(directory, 'reading the directory', async () => {
    try {
      return await readdir(directory)
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return []
      throw cause
    }
  })
}

/**
 * Reads the header of each segment and checks that together they are one log, and this replica's. Each header tells
 * what the segment before it holds; of the last one, `content` is still to be found by reading it. The first ones may
 * have been cut: whether what they held may be gone is for `checkCut`, when the last one is read.
 */
export async function readHeaders(directory: string, identity: LogIdentity): Promise<Segment[]> {
  const segments: Segment[] = []
  let bytesBefore = 0
  for (const number of await listSegments(directory)) {
    const path = segmentPath(directory, number)
    const { header, headerBytes, fileBytes } = await readHeader(path)
    checkIdentity(path, header, identity)
    const before = segments.at(-1)
    if (header.segment !== number || (header.previous === null) !== (number === 1)) {
      throw corruptAt(path, 0, 'the header is that of another segment')
    }
    if (before !== undefined && header.previous !== null) {
      const expected = before.header.segment + 1
      if (number !== expected) throw missingSegment(directory, expected)
      if (bytesBefore < header.previous.bytes)
        throw corruptAt(before.path, bytesBefore, 'the segment was cut short')
      before.content = header.previous
    }
    bytesBefore = fileBytes
    const recordsAt = headerBytes + header.carriedBytes
    segments.push({
      path,
      header,
      headerBytes,
      recordsAt,
      content: emptyContent(recordsAt),
      state: 'whole',
    })
  }
  return segments
}

/**
 * [D4] Whether all that was in the segments before the first may be gone: nothing at or above the newest stable
 * checkpoint is ever cut.
 *
 * @throws VoteLogError 'corrupt'
 */
export function checkCut(directory: string, first: SegmentHeader, newestStable: Seq): void {
  if (first.segment > 1 && first.earlier.seqMax >= newestStable)
    throw missingSegment(directory, first.segment - 1)
}

const missingSegment = (directory: string, segment: number): VoteLogError =>
  corruptAt(segmentPath(directory, segment), 0, 'the segment is missing')

type HeaderOfFile = {
  readonly header: SegmentHeader
  readonly headerBytes: number
  readonly fileBytes: number
}

/** @throws VoteLogError 'corrupt', 'other-version' or 'io' */
export function readHeader(path: string): Promise<HeaderOfFile> {
  return guarded(path, 'reading the header', async () => {
    const handle = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(SEGMENT_HEADER_BYTES_MAX)
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
      const read = decodeSegmentHeader(buffer.subarray(0, bytesRead))
      if (read.kind === 'bad') throw corruptAt(path, 0, 'the header is unreadable')
      if (read.kind === 'other-version') throw otherVersion(path, read.version)
      return { header: read.header, headerBytes: read.bytes, fileBytes: (await handle.stat()).size }
    } finally {
      await handle.close()
    }
  })
}

const otherVersion = (path: string, version: number): VoteLogError =>
  new VoteLogError(
    'other-version',
    { file: path },
    `${path}: written in vote log format ${version}, and this version of pbft-ledger knows format ${FORMAT_VERSION} ` +
      'alone. Start the replica with the version that last ran it.',
  )

function checkIdentity(path: string, header: SegmentHeader, { genesisDigest, replica }: LogIdentity): void {
  if (header.genesisDigest !== genesisDigest) {
    throw new VoteLogError(
      'foreign',
      { file: path },
      `${path}: the vote log of another cluster (genesis ${header.genesisDigest.slice(0, 16)}..., here ` +
        `${genesisDigest.slice(0, 16)}...). Put back the directory that belongs to this bundle.`,
    )
  }
  if (header.replica !== replica) {
    throw new VoteLogError(
      'foreign',
      { file: path },
      `${path}: the vote log of replica ${header.replica}, and this is replica ${replica}. ` +
        'Put back the directory that belongs to this bundle.',
    )
  }
}
