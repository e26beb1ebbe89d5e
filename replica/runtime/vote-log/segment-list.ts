import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { segmentOfName, segmentPath, UNFINISHED_SUFFIX } from './segment-file.ts'
import {
  decodeSegmentHeader,
  emptyContent,
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
 * what the segment before it holds; of the last one, `content` is still to be found by reading it.
 */
export async function readHeaders(directory: string, identity: LogIdentity): Promise<Segment[]> {
  const segments: Segment[] = []
  let bytesBefore = 0
  for (const [index, number] of (await listSegments(directory)).entries()) {
    const path = segmentPath(directory, number)
    if (number !== index + 1) throw corruptAt(segmentPath(directory, index + 1), 0, 'the segment is missing')
    const { header, headerBytes, fileBytes } = await readHeader(path)
    checkIdentity(path, header, identity)
    const before = segments.at(-1)
    if (header.segment !== number || (header.previous === null) !== (before === undefined)) {
      throw corruptAt(path, 0, 'the header is that of another segment')
    }
    if (before !== undefined && header.previous !== null) {
      if (bytesBefore < header.previous.bytes)
        throw corruptAt(before.path, bytesBefore, 'the segment was cut short')
      before.content = header.previous
    }
    bytesBefore = fileBytes
    segments.push({ path, header, headerBytes, content: emptyContent(headerBytes) })
  }
  return segments
}

type HeaderOfFile = {
  readonly header: SegmentHeader
  readonly headerBytes: number
  readonly fileBytes: number
}

function readHeader(path: string): Promise<HeaderOfFile> {
  return guarded(path, 'reading the header', async () => {
    const handle = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(SEGMENT_HEADER_BYTES_MAX)
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0)
      const read = decodeSegmentHeader(buffer.subarray(0, bytesRead))
      if (read.kind === 'bad') throw corruptAt(path, 0, 'the header is unreadable')
      if (read.kind === 'newer') throw newerFormat(path, read.version)
      return { header: read.header, headerBytes: read.bytes, fileBytes: (await handle.stat()).size }
    } finally {
      await handle.close()
    }
  })
}

const newerFormat = (path: string, version: number): VoteLogError =>
  new VoteLogError(
    'newer',
    { file: path },
    `${path}: written in vote log format ${version}, which this version of pbft-ledger does not know. ` +
      'Start the replica with the version that last ran it, or a later one.',
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
