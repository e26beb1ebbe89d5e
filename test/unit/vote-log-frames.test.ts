import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { seq } from '../../protocol/types.ts'
import { isStanding } from '../../replica/core/vote-record.ts'
import {
  type Frame,
  MARK_FRAME,
  payloadOf,
  scanFrames,
  writeFrame,
} from '../../replica/runtime/vote-log/frames.ts'
import {
  decodeRecord,
  encodeRecord,
  isStandingType,
  RECORD_TYPE,
} from '../../replica/runtime/vote-log/record-codec.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  type SegmentHeader,
} from '../../replica/runtime/vote-log/segment-header.ts'
import {
  AMNESIA,
  batchRecord,
  checkpoint,
  committed,
  IDENTITY,
  newView,
  prePrepare,
  prepared,
  recovered,
  stable,
  viewChange,
} from './vote-log-fixture.ts'

const marker = Buffer.from('a marker', 'latin1')
type Spec = { readonly payload: string; readonly durable: number; readonly type?: number }

/** Frames numbered from 1, one after the other. */
function framesOf(specs: readonly Spec[]): { bytes: Buffer; frames: Frame[] } {
  const bytes = Buffer.alloc(4_096)
  const frames: Frame[] = []
  let offset = 0
  let ordinal = 1
  for (const { payload, durable, type = 1 } of specs) {
    const head = { ordinal, durable, type, seq: 7 }
    const frame = writeFrame(bytes, offset, { marker, head, payload: Buffer.from(payload, 'latin1') })
    frames.push(frame)
    offset += frame.length
    if (type !== MARK_FRAME) ordinal += 1
  }
  return { bytes: bytes.subarray(0, offset), frames }
}
const scan = (bytes: Buffer) => scanFrames(bytes, { marker, start: 0, firstOrdinal: 1 })
const flip = (bytes: Buffer, at: number) => bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at)

describe('[D2] frames', () => {
  test('come back as written, and zeros written ahead are no damage', () => {
    const { bytes, frames } = framesOf([
      { payload: 'one', durable: 0 },
      { payload: '', durable: 1 },
      { payload: 'three', durable: 1 },
    ])
    const result = scan(Buffer.concat([bytes, Buffer.alloc(100)]))
    expect(result).toEqual({ frames, end: bytes.length, nextOrdinal: 4, durable: 1, verdict: 'whole' })
    expect(frames.map((frame) => payloadOf(bytes, frame).toString())).toEqual(['one', '', 'three'])
  })

  test('a bad frame with good ones behind it is torn while none of them says that it was durable', () => {
    const { bytes, frames } = framesOf([
      { payload: 'one', durable: 0 },
      { payload: 'two', durable: 1 },
      { payload: 'three', durable: 1 },
    ])
    flip(bytes, (frames[1]?.offset ?? 0) + 42)
    expect(scan(bytes)).toMatchObject({ end: frames[1]?.offset, nextOrdinal: 2, verdict: 'torn' })
  })

  test('a bad frame is damage when a later one says that it was durable', () => {
    const { bytes, frames } = framesOf([
      { payload: 'one', durable: 0 },
      { payload: 'two', durable: 1 },
      { payload: 'three', durable: 2 },
    ])
    flip(bytes, (frames[1]?.offset ?? 0) + 42)
    expect(scan(bytes)).toMatchObject({ end: frames[1]?.offset, verdict: 'corrupt' })
  })

  test('a mark proves the last record without using up an ordinal', () => {
    const { bytes, frames } = framesOf([
      { payload: 'one', durable: 0 },
      { payload: '', durable: 1, type: MARK_FRAME },
      { payload: 'two', durable: 1 },
    ])
    expect(scan(bytes)).toMatchObject({ nextOrdinal: 3, verdict: 'whole' })
    const proven = bytes.subarray(0, frames[2]?.offset)
    flip(proven, 42)
    expect(scan(proven)).toMatchObject({ end: 0, verdict: 'corrupt' })
  })

  test('a frame that a client put into its request is not taken for one when the record around it is torn', () => {
    const forged = Buffer.alloc(60)
    const head = { ordinal: 2, durable: 1, type: 1, seq: 1 }
    writeFrame(forged, 0, { marker: Buffer.from('guessed!'), head, payload: Buffer.from('x') })
    const { bytes } = framesOf([{ payload: forged.toString('latin1'), durable: 0 }])
    expect(scan(bytes.subarray(0, bytes.length - 1))).toMatchObject({ end: 0, verdict: 'torn' })
  })

  test('a frame of another place in the log is none here', () => {
    const { bytes, frames } = framesOf([
      { payload: 'one', durable: 0 },
      { payload: 'two', durable: 0 },
    ])
    expect(scan(bytes.subarray(frames[1]?.offset))).toMatchObject({ end: 0, frames: [] })
  })

  test('any bytes have a verdict', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(200), (noise, keep) => {
        const { bytes } = framesOf([
          { payload: 'one', durable: 0 },
          { payload: 'two', durable: 1 },
        ])
        const damaged = Buffer.concat([bytes.subarray(0, Math.min(keep, bytes.length)), noise])
        expect(['whole', 'torn', 'corrupt']).toContain(scan(damaged).verdict)
      }),
    )
  })
})

describe('vote records', () => {
  const records = [
    prePrepare(5, { v: 3 }),
    prePrepare(6, { batch: NULL_BATCH }),
    prepared(5),
    committed(5, { commits: [] }),
    committed(2 ** 40),
    batchRecord(9),
    checkpoint(128),
    stable(128),
    viewChange(3),
    newView(4),
    AMNESIA,
    recovered(2 ** 50),
  ]
  test('[VC1] all kinds are here, and their types tell which stay in force', () => {
    expect(new Set(records.map(({ kind }) => kind))).toEqual(new Set(Object.keys(RECORD_TYPE)))
    for (const record of records) {
      expect([record.kind, isStandingType(RECORD_TYPE[record.kind])]).toEqual([
        record.kind,
        isStanding(record),
      ])
    }
  })
  test.each(records)('$kind comes back as encoded', (record) => {
    expect(decodeRecord(Uint8Array.from(encodeRecord(record)))).toEqual(record)
  })

  test('other bytes are no record', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...records),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (record, where, xor) => {
          const bytes = Uint8Array.from(encodeRecord(record))
          expect(decodeRecord(bytes.subarray(0, where % bytes.length))).toBeUndefined()
          const at = where % bytes.length
          bytes[at] = (bytes[at] ?? 0) ^ xor
          expect(() => decodeRecord(bytes)).not.toThrow()
        },
      ),
    )
  })

  test('a pre-prepare whose batch is not the one of its header is no record', () => {
    const record = prePrepare(5)
    if (record.kind !== 'pre-prepare') throw new Error('unreachable')
    expect(decodeRecord(encodeRecord({ ...record, batch: NULL_BATCH }))).toBeUndefined()
  })
})

describe('segment headers', () => {
  const header: SegmentHeader = {
    ...IDENTITY,
    marker: Uint8Array.from(marker),
    segment: 2,
    firstOrdinal: 900,
    carriedBytes: 350,
    earlier: { newestStable: seq(128), newestMark: seq(129), seqMax: seq(200), skippedUpTo: seq(64) },
    previous: {
      bytes: 70_000,
      bodies: { min: seq(1), max: seq(130) },
      marks: null,
      seqMax: seq(130),
    },
  }

  test('come back as encoded', () => {
    const bytes = encodeSegmentHeader(header)
    const read = decodeSegmentHeader(Buffer.concat([bytes, Buffer.alloc(50)]))
    if (read.kind !== 'header') throw new Error(read.kind)
    expect(read.bytes).toBe(bytes.length)
    expect(read.header).toEqual({ ...header, genesisDigest: IDENTITY.genesisDigest })
  })

  test('any flipped bit makes one bad, its version too', () => {
    const bytes = encodeSegmentHeader({ ...header, previous: null })
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes)
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      expect(decodeSegmentHeader(damaged).kind).toBe('bad')
    }
  })
})
