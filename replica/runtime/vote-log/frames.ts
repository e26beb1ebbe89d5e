import { crc32 } from 'node:zlib'
import { writeUint64 } from '../../../protocol/signing.ts'

/**
 * The framing of vote log records. Pure: the simulated disk uses it too.
 *
 *   marker 8 | crc u32 | payload length u32 | ordinal u64 | durable u64 | type u8 | seq u64 | payload
 *
 * all big-endian; the CRC covers everything behind it.
 *
 * - `marker` is random, one per log. Clients choose what request bodies contain; without a secret marker one could
 *   craft a body that reads as a frame once the record around it is torn.
 * - `ordinal` numbers the log's records without gaps, so that old bytes never pass for the next record.
 * - `durable` is the highest ordinal that had been fsynced when the frame was made. It is what tells a torn tail from
 *   damage: an unsynced write may reach the disk in any order, so a bad frame with good ones behind it is no proof of
 *   damage by itself. It is one when a later frame says that the bad one was durable before. The last group before a
 *   crash has no later frame; there nothing on disk tells a flipped bit from a torn write, and it is cut.
 */
export const MARKER_BYTES = 8
const CRC_AT = MARKER_BYTES
const LENGTH_AT = CRC_AT + 4
const ORDINAL_AT = LENGTH_AT + 4
const DURABLE_AT = ORDINAL_AT + 8
const TYPE_AT = DURABLE_AT + 8
const SEQ_AT = TYPE_AT + 1
export const FRAME_HEAD_BYTES = SEQ_AT + 8

/**
 * The type of a frame without a record: it has the ordinal of the next record and exists for what it says in
 * `durable`. Written when the log falls idle or closes, so that what was last synced is known to have been.
 */
export const MARK_FRAME = 0

export type FrameHead = {
  readonly ordinal: number
  readonly durable: number
  /** 0 to 255; MARK_FRAME or the caller's. */
  readonly type: number
  readonly seq: number
}

/** A frame at `offset` in some bytes; `length` is that of head and payload together. */
export type Frame = FrameHead & { readonly offset: number; readonly length: number }

export const frameLength = (payloadLength: number): number => FRAME_HEAD_BYTES + payloadLength

export const payloadOf = (bytes: Buffer, frame: Frame): Buffer =>
  bytes.subarray(frame.offset + FRAME_HEAD_BYTES, frame.offset + frame.length)

/** Writes one frame at `offset`, for which `into` has room. */
export function writeFrame(
  into: Buffer,
  offset: number,
  { marker, head, payload }: { marker: Uint8Array; head: FrameHead; payload: Uint8Array },
): Frame {
  const length = frameLength(payload.length)
  into.set(marker, offset)
  into.writeUInt32BE(payload.length, offset + LENGTH_AT)
  writeUint64(into, head.ordinal, offset + ORDINAL_AT)
  writeUint64(into, head.durable, offset + DURABLE_AT)
  into[offset + TYPE_AT] = head.type
  writeUint64(into, head.seq, offset + SEQ_AT)
  into.set(payload, offset + FRAME_HEAD_BYTES)
  into.writeUInt32BE(crc32(into.subarray(offset + LENGTH_AT, offset + length)), offset + CRC_AT)
  return { ...head, offset, length }
}

/** 'incomplete': more bytes than are there would be needed; 'bad': whatever follows, this is no frame. */
export function readFrame(bytes: Buffer, offset: number, marker: Uint8Array): Frame | 'incomplete' | 'bad' {
  if (offset + FRAME_HEAD_BYTES > bytes.length) return 'incomplete'
  if (bytes.compare(marker, 0, MARKER_BYTES, offset, offset + MARKER_BYTES) !== 0) return 'bad'
  const length = frameLength(bytes.readUInt32BE(offset + LENGTH_AT))
  if (offset + length > bytes.length) return 'incomplete'
  const crc = crc32(bytes.subarray(offset + LENGTH_AT, offset + length))
  if (crc !== bytes.readUInt32BE(offset + CRC_AT)) return 'bad'
  return {
    ordinal: readUint64(bytes, offset + ORDINAL_AT),
    durable: readUint64(bytes, offset + DURABLE_AT),
    type: bytes.readUInt8(offset + TYPE_AT),
    seq: readUint64(bytes, offset + SEQ_AT),
    offset,
    length,
  }
}

/** A mark announces the next record's ordinal and does not use it up. */
export const ordinalAfter = (frame: FrameHead): number =>
  frame.type === MARK_FRAME ? frame.ordinal : frame.ordinal + 1

export type Scan = {
  /** The valid frames from the start on, marks included. */
  readonly frames: readonly Frame[]
  /** Where the valid frames end. */
  readonly end: number
  readonly nextOrdinal: number
  /** The highest ordinal that a valid frame says to be durable. */
  readonly durable: number
  /**
   * 'whole': nothing, or zeros written ahead, follows `end`. 'torn': an interrupted write that was never durable
   * follows; cut it. 'corrupt': what follows was durable once.
   */
  readonly verdict: 'whole' | 'torn' | 'corrupt'
}

/** Reads the frames from `start` on, the first of which has `firstOrdinal`. Total: any bytes have a verdict. */
export function scanFrames(
  bytes: Buffer,
  { marker, start, firstOrdinal }: { marker: Uint8Array; start: number; firstOrdinal: number },
): Scan {
  const frames: Frame[] = []
  let end = start
  let nextOrdinal = firstOrdinal
  let durable = firstOrdinal - 1
  for (;;) {
    const frame = readFrame(bytes, end, marker)
    if (typeof frame === 'string' || frame.ordinal !== nextOrdinal) break
    frames.push(frame)
    end += frame.length
    nextOrdinal = ordinalAfter(frame)
    durable = Math.max(durable, frame.durable)
  }
  return { frames, end, nextOrdinal, durable, verdict: verdictOn(bytes, { marker, end, nextOrdinal }) }
}

function verdictOn(
  bytes: Buffer,
  { marker, end, nextOrdinal }: { marker: Uint8Array; end: number; nextOrdinal: number },
): Scan['verdict'] {
  if (isZero(bytes, end)) return 'whole'
  for (let at = bytes.indexOf(marker, end); at >= 0; at = bytes.indexOf(marker, at + 1)) {
    const frame = readFrame(bytes, at, marker)
    if (typeof frame !== 'string' && frame.durable >= nextOrdinal) return 'corrupt'
  }
  return 'torn'
}

function isZero(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false
  return true
}

const readUint64 = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
