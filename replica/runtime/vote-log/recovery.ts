import { readFile } from 'node:fs/promises'
import type { VoteRecord } from '../../core/vote-record.ts'
import { type Frame, MARK_FRAME, payloadOf, type Scan, scanFrames } from './frames.ts'
import { SegmentFile, syncDirectory } from './segment-file.ts'
import {
  contentWith,
  emptyContent,
  type LogIdentity,
  type LogSummary,
  summaryWith,
} from './segment-header.ts'
import { checkCut, readHeaders, removeUnfinished } from './segment-list.ts'
import { carriedFrames, type Segment, visitFrames } from './segment-scan.ts'
import { corruptAt, guarded, missingLog } from './vote-log-error.ts'
import { type StandingByType, WantedRecords } from './wanted-records.ts'

export type RecoveredLog = {
  /** In order; the last one is `tail`'s. */
  readonly segments: Segment[]
  readonly tail: SegmentFile
  /** The records of the last segment, as they lie in it, without those that it carries. */
  readonly tailFrames: readonly Frame[]
  readonly nextOrdinal: number
  /** The highest ordinal that the log itself says to be durable. */
  readonly claimed: number
  readonly summary: LogSummary
  readonly standing: StandingByType
  readonly records: readonly VoteRecord[]
  readonly tornBytesCut: number
}

/**
 * Brings the log on disk to where writing can go on. Of sealed segments it reads the headers only, up to the first that
 * holds something at or above the newest stable checkpoint; from there on it reads all. What it returns is durable.
 */
export async function recoverLog(directory: string, identity: LogIdentity): Promise<RecoveredLog> {
  await removeUnfinished(directory)
  const segments = await readHeaders(directory, identity)
  const [first] = segments
  const last = segments.at(-1)
  if (first === undefined || last === undefined) throw missingLog(directory)
  const { bytes, carried, scan } = await scanTail(last)
  last.content = scan.frames.reduce(contentWith, emptyContent(last.recordsAt))
  const tailFrames = scan.frames.filter((frame) => frame.type !== MARK_FRAME)
  const summary = tailFrames.reduce(summaryWith, last.header.earlier)
  checkCut(directory, first.header, summary.newestStable)

  const wanted = new WantedRecords(summary.newestStable)
  const sealed = segments.slice(0, -1)
  const start = sealed.findIndex(({ content }) => content.seqMax >= summary.newestStable)
  for (const segment of start < 0 ? [] : sealed.slice(start)) {
    await visitFrames(segment, (frame, payload) => wanted.take(segment.path, frame, payload))
  }
  for (const frame of [...carried, ...tailFrames])
    wanted.take(last.path, frame, () => payloadOf(bytes, frame))

  await guarded(directory, 'fsync of the directory', () => syncDirectory(directory))
  const tail = await SegmentFile.reopen(last.path, {
    bytes: bytes.subarray(0, scan.end),
    unprovenFrom: unprovenFrom(scan),
    cut: scan.verdict === 'torn',
  })
  return {
    segments,
    tail,
    tailFrames,
    nextOrdinal: scan.nextOrdinal,
    claimed: scan.durable,
    summary,
    standing: wanted.standing,
    records: wanted.records,
    tornBytesCut: scan.verdict === 'torn' ? bytes.length - scan.end : 0,
  }
}

type ScannedTail = { readonly bytes: Buffer; readonly carried: Frame[]; readonly scan: Scan }

async function scanTail(last: Segment): Promise<ScannedTail> {
  const bytes = await guarded(last.path, 'reading', () => readFile(last.path))
  const carried = carriedFrames(last, bytes)
  const scan = scanFrames(bytes, {
    marker: last.header.marker,
    start: last.recordsAt,
    firstOrdinal: last.header.firstOrdinal,
  })
  if (scan.verdict === 'corrupt') {
    const why = `record ${scan.nextOrdinal} is unreadable, and later ones were written when it was already on disk`
    throw corruptAt(last.path, scan.end, why)
  }
  return { bytes, carried, scan }
}

/** Where the first record lies that no frame says to be durable. */
const unprovenFrom = (scan: Scan): number =>
  scan.frames.find((frame) => frame.ordinal > scan.durable)?.offset ?? scan.end
