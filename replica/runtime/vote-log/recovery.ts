import { readFile } from 'node:fs/promises'
import type { Seq } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../core/vote-record.ts'
import { type Frame, MARK_FRAME, payloadOf, type Scan, scanFrames } from './frames.ts'
import { decodeRecord, RECORD_TYPE } from './record-codec.ts'
import { SegmentFile, syncDirectory } from './segment-file.ts'
import { contentWith, emptyContent, type LogIdentity } from './segment-header.ts'
import { readHeaders, removeUnfinished } from './segment-list.ts'
import { type Segment, visitFrames } from './segment-scan.ts'
import { corruptAt, guarded, missingLog } from './vote-log-error.ts'

export type RecoveredLog = {
  /** In order; the last one is `tail`'s. */
  readonly segments: Segment[]
  readonly tail: SegmentFile
  /** The records of the last segment, as they lie in it. */
  readonly tailFrames: readonly Frame[]
  readonly nextOrdinal: number
  /** The highest ordinal that the log itself says to be durable. */
  readonly claimed: number
  /** 0: none. */
  readonly newestStable: Seq
  readonly records: readonly VoteRecord[]
  readonly tornBytesCut: number
}

/**
 * Brings the log on disk to where writing can go on. Of sealed segments it reads the headers only, unless they hold
 * records at or above the newest stable checkpoint; the last segment it reads whole. What it returns is durable.
 */
export async function recoverLog(directory: string, identity: LogIdentity): Promise<RecoveredLog> {
  await removeUnfinished(directory)
  const segments = await readHeaders(directory, identity)
  const last = segments.at(-1)
  if (last === undefined) throw missingLog(directory)
  const { bytes, scan } = await scanTail(last)
  last.content = scan.frames.reduce(contentWith, emptyContent(last.headerBytes))
  const tailFrames = scan.frames.filter((frame) => frame.type !== MARK_FRAME)
  const newestStable = tailFrames.reduce(newerStable, last.header.newestStable)

  const wanted = new WantedRecords(newestStable)
  for (const segment of segments.slice(0, -1)) {
    if (segment.content.seqMax < newestStable) continue
    await visitFrames(segment, (frame, payload) => wanted.take(segment.path, frame, payload()))
  }
  for (const frame of tailFrames) wanted.take(last.path, frame, payloadOf(bytes, frame))

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
    newestStable,
    records: wanted.records,
    tornBytesCut: scan.verdict === 'torn' ? bytes.length - scan.end : 0,
  }
}

async function scanTail(last: Segment): Promise<{ bytes: Buffer; scan: Scan }> {
  const bytes = await guarded(last.path, 'reading', () => readFile(last.path))
  const scan = scanFrames(bytes, {
    marker: last.header.marker,
    start: last.headerBytes,
    firstOrdinal: last.header.firstOrdinal,
  })
  if (scan.verdict === 'corrupt') {
    const why = `record ${scan.nextOrdinal} is unreadable, and later ones were written when it was already on disk`
    throw corruptAt(last.path, scan.end, why)
  }
  return { bytes, scan }
}

/** The newer stable checkpoint of two: the newest so far and this frame's, if it is one. */
export const newerStable = (newest: Seq, frame: { readonly type: number; readonly seq: number }): Seq =>
  frame.type === RECORD_TYPE.stable && frame.seq > newest ? (frame.seq as Seq) : newest

/** Where the first record lies that no frame says to be durable. */
const unprovenFrom = (scan: Scan): number =>
  scan.frames.find((frame) => frame.ordinal > scan.durable)?.offset ?? scan.end

/** What a replica starts from: all above the newest stable checkpoint, that checkpoint and its own CHECKPOINT for it. */
class WantedRecords {
  readonly records: VoteRecord[] = []
  readonly #newestStable: Seq

  constructor(newestStable: Seq) {
    this.#newestStable = newestStable
  }

  take(path: string, frame: Frame, payload: Buffer): void {
    const isCheckpoint = frame.type === RECORD_TYPE.stable || frame.type === RECORD_TYPE.checkpoint
    if (frame.seq < this.#newestStable || (frame.seq === this.#newestStable && !isCheckpoint)) return
    // A copy: the record keeps views of it, and these should not keep a whole segment.
    const record = decodeRecord(Uint8Array.from(payload))
    if (record === undefined)
      throw corruptAt(path, frame.offset, `record ${frame.ordinal} is not one of this format`)
    this.records.push(record)
  }
}
