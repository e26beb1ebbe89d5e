import { crc32 } from 'node:zlib'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import { MalformedError, Reader } from '../../../protocol/reader.ts'
import type { Digest, ReplicaId, Seq } from '../../../protocol/types.ts'
import { digestToBytes } from '../../../protocol/types.ts'
import { MARKER_BYTES } from './frames.ts'
import { isBodyType, RECORD_TYPE } from './record-codec.ts'

/**
 * The first record of each segment:
 *
 *   'PBFTVOTE' | crc u32 over the rest | version u32 | payload length u32 | payload
 *
 * Every version keeps these first 20 bytes, so that a program of another version can say so. The payload is what lets
 * start-up skip old segments: how far the log had come, and what the previous segment holds. `carriedBytes` of frames
 * follow it, see SegmentHeader.
 */
export const FORMAT_VERSION = 2
const MAGIC = Buffer.from('PBFTVOTE', 'latin1')
const CRC_AT = MAGIC.length
const VERSION_AT = CRC_AT + 4
const LENGTH_AT = VERSION_AT + 4
const PAYLOAD_AT = LENGTH_AT + 4
/** Reading this many bytes of a file is enough to have its header. */
export const SEGMENT_HEADER_BYTES_MAX = 1_024

export type SeqRange = { readonly min: Seq; readonly max: Seq }

/** What a segment holds, kept in memory for each; `bytes` counts from the file's start to its last frame's end. */
export type SegmentContent = {
  readonly bytes: number
  /** Sequence numbers of its batches, of its committed marks, and the highest of any record; null and 0: none. */
  readonly bodies: SeqRange | null
  readonly marks: SeqRange | null
  readonly seqMax: Seq
}

/** What must not differ between the segments of a log. */
export type LogIdentity = { readonly genesisDigest: Digest; readonly replica: ReplicaId }

/** What the log amounts to up to some record, in however many segments, cut ones included. 0: none. */
export type LogSummary = {
  readonly newestStable: Seq
  readonly newestMark: Seq
  /** The highest sequence number of any record. */
  readonly seqMax: Seq
  /** Batches up to here were skipped: a state that was installed stands for them [CP4]. */
  readonly skippedUpTo: Seq
}

export const EMPTY_LOG: LogSummary = {
  newestStable: 0 as Seq,
  newestMark: 0 as Seq,
  seqMax: 0 as Seq,
  skippedUpTo: 0 as Seq,
}

/** `summary` with one more record. A committed mark precedes execution, and that the stable checkpoint. */
export function summaryWith(
  summary: LogSummary,
  frame: { readonly type: number; readonly seq: number },
): LogSummary {
  const seq = frame.seq as Seq
  const isStable = frame.type === RECORD_TYPE.stable
  const isMark = frame.type === RECORD_TYPE.committed
  return {
    newestStable: isStable && seq > summary.newestStable ? seq : summary.newestStable,
    newestMark: isMark && seq > summary.newestMark ? seq : summary.newestMark,
    seqMax: Math.max(seq, summary.seqMax) as Seq,
    skippedUpTo: isStable && seq > summary.newestMark ? seq : summary.skippedUpTo,
  }
}

export type SegmentHeader = LogIdentity & {
  readonly marker: Uint8Array
  /** From 1, without gaps; the first ones may have been cut. */
  readonly segment: number
  readonly firstOrdinal: number
  /**
   * The frames right behind the header are copies of the standing records in force (`isStanding`), with the ordinals
   * that they have. They are synced with the header, before the segment has its name: so all earlier segments can be
   * deleted at any time without a rewrite, and damage to a copy is never a torn write.
   */
  readonly carriedBytes: number
  readonly earlier: LogSummary
  /** Of the previous segment; null in the first. */
  readonly previous: SegmentContent | null
}

export const emptyContent = (bytes: number): SegmentContent => ({
  bytes,
  bodies: null,
  marks: null,
  seqMax: 0 as Seq,
})

/** `content` with one more frame at its end. */
export function contentWith(
  content: SegmentContent,
  frame: { readonly type: number; readonly seq: number; readonly length: number },
): SegmentContent {
  const seq = frame.seq as Seq
  return {
    bytes: content.bytes + frame.length,
    bodies: isBodyType(frame.type) ? rangeWith(content.bodies, seq) : content.bodies,
    marks: frame.type === RECORD_TYPE.committed ? rangeWith(content.marks, seq) : content.marks,
    seqMax: Math.max(seq, content.seqMax) as Seq,
  }
}

const rangeWith = (range: SeqRange | null, seq: Seq): SeqRange =>
  range === null
    ? { min: seq, max: seq }
    : { min: seq < range.min ? seq : range.min, max: seq > range.max ? seq : range.max }

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const { previous } = header
  const payload = pack([
    digestToBytes(header.genesisDigest),
    header.replica,
    header.marker,
    header.segment,
    header.firstOrdinal,
    header.carriedBytes,
    [
      header.earlier.newestStable,
      header.earlier.newestMark,
      header.earlier.seqMax,
      header.earlier.skippedUpTo,
    ],
    previous === null
      ? null
      : [previous.bytes, rangeToFields(previous.bodies), rangeToFields(previous.marks), previous.seqMax],
  ])
  const bytes = Buffer.alloc(PAYLOAD_AT + payload.length)
  bytes.set(MAGIC)
  bytes.writeUInt32BE(FORMAT_VERSION, VERSION_AT)
  bytes.writeUInt32BE(payload.length, LENGTH_AT)
  bytes.set(payload, PAYLOAD_AT)
  bytes.writeUInt32BE(crc32(bytes.subarray(VERSION_AT)), CRC_AT)
  return bytes
}

const rangeToFields = (range: SeqRange | null): unknown => (range === null ? null : [range.min, range.max])

export type HeaderRead =
  | { readonly kind: 'header'; readonly header: SegmentHeader; readonly bytes: number }
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'bad' }

/** Total; `bytes` begin where the file begins. */
export function decodeSegmentHeader(bytes: Buffer): HeaderRead {
  if (bytes.length < PAYLOAD_AT || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return { kind: 'bad' }
  const end = PAYLOAD_AT + bytes.readUInt32BE(LENGTH_AT)
  if (end > bytes.length || crc32(bytes.subarray(VERSION_AT, end)) !== bytes.readUInt32BE(CRC_AT)) {
    return { kind: 'bad' }
  }
  const version = bytes.readUInt32BE(VERSION_AT)
  if (version !== FORMAT_VERSION) return { kind: 'other-version', version }
  try {
    // A copy: the marker is kept as long as the log is open.
    const payload = Uint8Array.from(bytes.subarray(PAYLOAD_AT, end))
    return { kind: 'header', header: headerFrom(Reader.of(unpack(payload), 8)), bytes: end }
  } catch (error) {
    if (error instanceof MalformedError) return { kind: 'bad' }
    throw error
  }
}

/** @throws MalformedError */
function headerFrom(fields: Reader): SegmentHeader {
  return {
    genesisDigest: fields.digest(),
    replica: fields.integer() as ReplicaId,
    marker: fields.exactly(MARKER_BYTES),
    segment: fields.integer(),
    firstOrdinal: fields.integer(),
    carriedBytes: fields.integer(),
    earlier: summaryFrom(fields.any()),
    previous: fields.nullable((value) => {
      const content = Reader.of(value, 4)
      return {
        bytes: content.integer(),
        bodies: content.nullable(rangeFrom),
        marks: content.nullable(rangeFrom),
        seqMax: content.integer() as Seq,
      }
    }),
  }
}

function summaryFrom(value: unknown): LogSummary {
  const fields = Reader.of(value, 4)
  return {
    newestStable: fields.integer() as Seq,
    newestMark: fields.integer() as Seq,
    seqMax: fields.integer() as Seq,
    skippedUpTo: fields.integer() as Seq,
  }
}

function rangeFrom(value: unknown): SeqRange {
  const fields = Reader.of(value, 2)
  const min = fields.integer() as Seq
  return { min, max: fields.integer() as Seq }
}
