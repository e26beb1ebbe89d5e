import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Frame, MARK_FRAME, payloadOf, readFrame, scanFrames } from './frames.ts'
import { ARCHIVE } from './retained-segments.ts'
import { segmentOfName, segmentPath } from './segment-file.ts'
import { decodeSegmentHeader, FORMAT_VERSION, type SegmentHeader } from './segment-header.ts'

/** A record as it lies in a segment. `payload` is a view into the whole segment: copy it to keep it. */
export type ScannedRecord = Pick<Frame, 'ordinal' | 'type' | 'seq' | 'offset'> & { readonly payload: Buffer }

/** Bytes that cannot be read as what they were; what lies behind them in the segment is lost, too. */
export type LogDamage = { readonly file: string; readonly offset: number; readonly why: string }

export type ScannedSegment = {
  readonly file: string
  /** Null where the header cannot be read. */
  readonly header: SegmentHeader | null
  /** In order; of those that the segment carries from earlier ones only what was not read there. */
  readonly records: readonly ScannedRecord[]
  readonly damage: readonly LogDamage[]
  /** Of the record that would come next; 0 where the header cannot be read. */
  readonly nextOrdinal: number
}

/**
 * Every record of a vote log's directory and of its archive, segment by segment, for reading only: it takes no lock, and
 * its replica may write meanwhile. So the last segment may end amid a record. Damage is said and never thrown.
 */
export async function* scanVoteLog(directory: string): AsyncGenerator<ScannedSegment> {
  const numbers = await segmentsOf(directory)
  let lastOrdinal = 0
  let nextOrdinal = 0
  let expected = numbers[0]
  for (const [index, number] of numbers.entries()) {
    const scanned = await scanSegment(directory, number, {
      isLast: index === numbers.length - 1,
      after: lastOrdinal,
    })
    // It was deleted while this went on: below a stable checkpoint, as those before the first are.
    if (scanned === undefined && lastOrdinal === 0) {
      expected = number + 1
      continue
    }
    const missing = scanned === undefined || number !== expected ? [missingDamage(directory, expected)] : []
    expected = number + 1
    if (scanned === undefined) {
      const file = segmentPath(directory, number)
      yield { file, header: null, records: [], damage: missing, nextOrdinal: 0 }
    } else {
      const cut = missing.length === 0 ? cutShort(scanned, nextOrdinal) : []
      yield { ...scanned, damage: [...missing, ...cut, ...scanned.damage] }
      lastOrdinal = scanned.records.at(-1)?.ordinal ?? lastOrdinal
    }
    nextOrdinal = scanned?.nextOrdinal ?? 0
  }
}

const missingDamage = (directory: string, number: number | undefined): LogDamage => ({
  file: segmentPath(directory, number ?? 0),
  offset: 0,
  why: 'the segment is missing',
})

/** A segment that ends amid its records shows in where the next one begins. */
function cutShort({ file, header }: ScannedSegment, nextOrdinal: number): LogDamage[] {
  if (header === null || nextOrdinal === 0 || header.firstOrdinal === nextOrdinal) return []
  const why = `it begins with record ${header.firstOrdinal}, and the segment before it ends before record ${nextOrdinal}`
  return [{ file, offset: 0, why }]
}

async function segmentsOf(directory: string): Promise<number[]> {
  // The archive last: a segment that moves there meanwhile is in one of the two.
  const names = [...(await namesIn(directory)), ...(await namesIn(join(directory, ARCHIVE)))]
  return [...new Set(names.flatMap((name) => segmentOfName(name) ?? []))].sort((a, b) => a - b)
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(ifAbsent<string[]>([]))

const ifAbsent =
  <T>(instead: T) =>
  (cause: unknown): T => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return instead
    throw cause
  }

type Where = { readonly isLast: boolean; readonly after: number }

async function scanSegment(
  directory: string,
  number: number,
  where: Where,
): Promise<ScannedSegment | undefined> {
  const shelves = [join(directory, ARCHIVE), directory, join(directory, ARCHIVE)]
  for (const shelf of shelves) {
    const file = segmentPath(shelf, number)
    const bytes = await readFile(file).catch(ifAbsent(undefined))
    if (bytes !== undefined) return scanBytes(file, bytes, where)
  }
  return undefined
}

/** Total: any bytes have a result. */
export function scanBytes(file: string, bytes: Buffer, { isLast, after }: Where): ScannedSegment {
  const read = decodeSegmentHeader(bytes)
  if (read.kind !== 'header') {
    const why =
      read.kind === 'bad'
        ? 'the header is unreadable'
        : `written in vote log format ${read.version}, and this version of pbft-ledger knows format ${FORMAT_VERSION}`
    return { file, header: null, records: [], damage: [{ file, offset: 0, why }], nextOrdinal: 0 }
  }
  const { header } = read
  const recordsAt = read.bytes + header.carriedBytes
  const carried = carriedOf(bytes, { from: read.bytes, upTo: recordsAt, marker: header.marker })
  const scan = scanFrames(bytes, {
    marker: header.marker,
    start: recordsAt,
    firstOrdinal: header.firstOrdinal,
  })
  const damage: LogDamage[] = []
  if (carried.end < recordsAt)
    damage.push({ file, offset: carried.end, why: 'a carried record is unreadable' })
  // Nothing follows the last record of a sealed segment; behind that of the last one a write may be under way.
  if (scan.verdict === 'corrupt' || (scan.verdict === 'torn' && !isLast))
    damage.push({ file, offset: scan.end, why: `record ${scan.nextOrdinal} is unreadable` })
  const records = [...carried.frames, ...scan.frames]
    .filter(({ type, ordinal }) => type !== MARK_FRAME && ordinal > after)
    .map((frame) => ({ ...frame, payload: payloadOf(bytes, frame) }))
  return { file, header, records, damage, nextOrdinal: scan.nextOrdinal }
}

function carriedOf(
  bytes: Buffer,
  { from, upTo, marker }: { readonly from: number; readonly upTo: number; readonly marker: Uint8Array },
): { readonly frames: readonly Frame[]; readonly end: number } {
  const frames: Frame[] = []
  let end = from
  while (end < upTo) {
    const frame = readFrame(bytes, end, marker)
    if (typeof frame === 'string') break
    frames.push(frame)
    end += frame.length
  }
  return { frames: frames.sort((a, b) => a.ordinal - b.ordinal), end }
}
