import type { Batch } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import { type CommittedEntry, seqOfRecord, type VoteRecord } from '../../replica/core/vote-record.ts'
import {
  frameLength,
  MARKER_BYTES,
  payloadOf,
  scanFrames,
  writeFrame,
} from '../../replica/runtime/vote-log/frames.ts'
import { decodeRecord, encodeRecord, RECORD_TYPE } from '../../replica/runtime/vote-log/record-codec.ts'
import type { Random } from './random.ts'
import { Violation } from './violation.ts'

/** As in the vote log: entries that one read of committed batches brings at most. */
const ENTRIES_MAX = 512

/** What the log says of one sequence number. */
type Told = {
  readonly marks: Extract<VoteRecord, { kind: 'committed' }>[]
  readonly bodies: Batch[]
  /** On the disk for good. */
  readonly durable: Map<VoteRecord['kind'], VoteRecord>
}

type Framed = { readonly record: VoteRecord; readonly ordinal: number }

/**
 * One replica's vote log: real frames and records in simulated storage. Bytes go from the process' buffer to the
 * operating system, which survives a kill, and with an fsync to the medium, which survives a power cut.
 */
export class Disk {
  readonly #marker: Buffer
  #bytes: Buffer = Buffer.alloc(1 << 16)
  /** In the operating system up to here. */
  #written = 0
  /** On the medium up to here. */
  #synced = 0
  #ordinal = 0
  #durableOrdinal = 0
  #told = new Map<Seq, Told>()
  /** Records of this process that are not synced, in order. */
  #unsynced: Framed[] = []

  readonly #fsyncLies: boolean

  constructor(random: Random, fsyncLies = false) {
    this.#marker = random.bytes(MARKER_BYTES)
    this.#fsyncLies = fsyncLies
  }

  /** Into the process' buffer. Returns the frame's bytes, which reach the operating system by `write`. */
  frame(record: VoteRecord): Buffer {
    const payload = encodeRecord(record)
    const frame = Buffer.allocUnsafe(frameLength(payload.length))
    this.#ordinal += 1
    writeFrame(frame, 0, {
      marker: this.#marker,
      head: {
        ordinal: this.#ordinal,
        durable: this.#durableOrdinal,
        type: RECORD_TYPE[record.kind],
        seq: seqOfRecord(record),
      },
      payload,
    })
    this.#note(record)
    this.#unsynced.push({ record, ordinal: this.#ordinal })
    return frame
  }

  write(frames: readonly Buffer[]): void {
    for (const frame of frames) {
      this.#reserve(frame.length)
      frame.copy(this.#bytes, this.#written)
      this.#written += frame.length
    }
  }

  /** The fsync that began when `mark` was taken has returned. */
  syncTo(mark: { readonly bytes: number; readonly ordinal: number }): void {
    if (!this.#fsyncLies) this.#synced = Math.max(this.#synced, mark.bytes)
    this.#durableOrdinal = mark.ordinal
    let done = 0
    for (const { record, ordinal } of this.#unsynced) {
      if (ordinal > mark.ordinal) break
      this.#toldOf(seqOfRecord(record)).durable.set(record.kind, record)
      done += 1
    }
    this.#unsynced = this.#unsynced.slice(done)
  }

  get mark(): { readonly bytes: number; readonly ordinal: number } {
    return { bytes: this.#written, ordinal: this.#ordinal }
  }

  /** The record of this kind for `seq` that no crash takes back. */
  durable<Kind extends VoteRecord['kind']>(
    kind: Kind,
    seq: Seq,
  ): Extract<VoteRecord, { kind: Kind }> | undefined {
    const record = this.#told.get(seq)?.durable.get(kind)
    return record as Extract<VoteRecord, { kind: Kind }> | undefined
  }

  durableBody(seq: Seq, digest: Digest): boolean {
    const accepted = this.durable('pre-prepare', seq)
    const taken = this.durable('batch', seq)
    return accepted?.batch.digest === digest || taken?.batch.digest === digest
  }

  /** [CP5] [D4] As the vote log reads them: a mark and the batch that it names, consecutive, newest first. */
  readCommitted(range: {
    readonly from: Seq
    readonly upTo: Seq
    readonly bytesMax: number
  }): CommittedEntry[] {
    const entries: CommittedEntry[] = []
    let bytes = 0
    for (let seq = range.from; seq <= range.upTo && entries.length < ENTRIES_MAX; seq++) {
      const entry = this.#entryAt(seq)
      if (entry === undefined) break
      bytes += entry.batch.requests.reduce((sum, { body }) => sum + body.length, 0)
      if (entries.length > 0 && bytes > range.bytesMax) break
      entries.push(entry)
    }
    return entries
  }

  #entryAt(seq: Seq): CommittedEntry | undefined {
    const told = this.#told.get(seq)
    const mark = told?.marks.findLast(({ commits }) => commits.length > 0) ?? told?.marks.at(-1)
    const batch = told?.bodies.findLast((body) => body.digest === mark?.digest)
    if (mark === undefined || batch === undefined) return undefined
    return { seq, view: mark.view, digest: mark.digest, commits: mark.commits, batch }
  }

  /** kill -9: what the operating system was handed stays, of a write under way perhaps a part. */
  kill(random: Random, underWay: readonly Buffer[]): void {
    const bytes = Buffer.concat(underWay)
    const part = random.chance(0.5) ? bytes.length : random.int(0, bytes.length)
    this.write([bytes.subarray(0, part)])
  }

  /** Power cut: of what was not synced an arbitrary part stays, perhaps with a hole. */
  cutPower(random: Random, underWay: readonly Buffer[]): void {
    this.write(underWay)
    const kept = random.chance(0.3) ? this.#synced : random.int(this.#synced, this.#written)
    if (random.chance(0.5) && kept > this.#synced) {
      const from = random.int(this.#synced, kept - 1)
      this.#bytes.fill(random.chance(0.5) ? 0 : random.int(1, 255), from, random.int(from, kept))
    }
    this.#written = kept
  }

  /** What a start reads: the records above the newest stable checkpoint, with it. Cuts a torn tail. */
  recover(): { readonly votes: VoteRecord[]; readonly tornBytes: number } {
    const bytes = this.#bytes.subarray(0, this.#written)
    const scan = scanFrames(bytes, { marker: this.#marker, start: 0, firstOrdinal: 1 })
    if (scan.verdict === 'corrupt') {
      throw new Violation('log-lost', `record ${scan.nextOrdinal} was durable and is unreadable`)
    }
    if (scan.end < this.#synced) throw new Violation('log-lost', 'a synced record is cut as a torn tail')
    this.#told = new Map()
    this.#unsynced = []
    const records = scan.frames.map((frame) => {
      const record = decodeRecord(Uint8Array.from(payloadOf(bytes, frame)))
      if (record === undefined) throw new Violation('log-lost', `record ${frame.ordinal} does not decode`)
      this.#note(record)
      this.#toldOf(seqOfRecord(record)).durable.set(record.kind, record)
      return record
    })
    this.#written = scan.end
    this.#synced = scan.end
    this.#ordinal = scan.nextOrdinal - 1
    this.#durableOrdinal = this.#ordinal
    return { votes: aboveStable(records), tornBytes: scan.verdict === 'torn' ? bytes.length - scan.end : 0 }
  }

  #note(record: VoteRecord): void {
    const told = this.#toldOf(seqOfRecord(record))
    if (record.kind === 'committed') told.marks.push(record)
    if (record.kind === 'pre-prepare' || record.kind === 'batch') told.bodies.push(record.batch)
  }

  #toldOf(seq: Seq): Told {
    let told = this.#told.get(seq)
    if (told === undefined) {
      told = { marks: [], bodies: [], durable: new Map() }
      this.#told.set(seq, told)
    }
    return told
  }

  #reserve(more: number): void {
    if (this.#written + more <= this.#bytes.length) return
    const larger = Buffer.alloc(2 * (this.#written + more))
    this.#bytes.copy(larger, 0, 0, this.#written)
    this.#bytes = larger
  }
}

/** As the vote log recovers them. */
function aboveStable(records: readonly VoteRecord[]): VoteRecord[] {
  const stable = records.reduce(
    (newest, record) => (record.kind === 'stable' ? Math.max(newest, record.seq) : newest),
    0,
  )
  return records.filter((record) => {
    const seq = seqOfRecord(record)
    const isCheckpoint = record.kind === 'stable' || record.kind === 'checkpoint'
    return seq > stable || (seq === stable && isCheckpoint)
  })
}
