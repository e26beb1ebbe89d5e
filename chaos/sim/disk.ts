import type { Digest, Seq } from '../../protocol/types.ts'
import {
  type CommittedEntry,
  isStanding,
  seqOfRecord,
  type VoteRecord,
} from '../../replica/core/vote-record.ts'
import {
  frameLength,
  MARKER_BYTES,
  payloadOf,
  readFrame,
  scanFrames,
  writeFrame,
} from '../../replica/runtime/vote-log/frames.ts'
import { decodeRecord, encodeRecord, RECORD_TYPE } from '../../replica/runtime/vote-log/record-codec.ts'
import { EMPTY_LOG, summaryWith } from '../../replica/runtime/vote-log/segment-header.ts'
import { wantedRecords } from '../../replica/runtime/vote-log/wanted-records.ts'
import type { Random } from './random.ts'
import { RecordIndex, type RecordOf } from './record-index.ts'
import { Violation } from './violation.ts'

/** As in the vote log: entries that one read of committed batches brings at most. */
const ENTRIES_MAX = 512

/** A record and where its frame is: in the log, or among the copies that were carried over a cut. */
type Kept = { readonly record: VoteRecord; readonly ordinal: number; readonly frame: Buffer }

/** What a start finds. `lost`: the log is, by a fault that was injected; a new one has taken its place [D5]. */
export type Recovered = {
  readonly votes: readonly VoteRecord[]
  readonly tornBytes: number
  readonly lost: 'missing' | 'corrupt' | null
}

/**
 * One replica's vote log: real frames and records in simulated storage. Bytes go from the process' buffer to the
 * operating system, which survives a kill, and with an fsync to the medium, which survives a power cut.
 *
 * Where the real one is cut by segments this one is cut by records, so that a start finds no more than it must.
 */
export class Disk {
  readonly #marker: Buffer
  readonly #fsyncLies: boolean
  #bytes: Buffer = Buffer.alloc(1 << 16)
  /** In the operating system up to here. */
  #written = 0
  /** On the medium up to here. */
  #synced = 0
  #firstOrdinal = 1
  #ordinal = 0
  #durableOrdinal = 0
  /** Standing records that were cut where they lay, the newest of each kind: durable with the cut. */
  #carried: Kept[] = []
  /** The log's records, in order. */
  #kept: Kept[] = []
  #index = new RecordIndex()
  /** Of what was cut, and of all. */
  #cutSummary = EMPTY_LOG
  #summary = EMPTY_LOG
  #fault: 'lost' | 'bit-flipped' | null = null
  /** What was cut; null: nobody wants it. */
  #archive: VoteRecord[] | null = null

  constructor(random: Random, fsyncLies = false) {
    this.#marker = random.bytes(MARKER_BYTES)
    this.#fsyncLies = fsyncLies
  }

  /** Before anything is cut: `records` shall have it all the same. */
  archive(): void {
    this.#archive = []
  }

  /** Of the log, in order. */
  get records(): readonly VoteRecord[] {
    return [...(this.#archive ?? []), ...this.#kept.map(({ record }) => record)]
  }

  /** Into the process' buffer. Returns the frame's bytes, which reach the operating system by `write`. */
  frame(record: VoteRecord): Buffer {
    const payload = encodeRecord(record)
    const frame = Buffer.allocUnsafe(frameLength(payload.length))
    this.#ordinal += 1
    const head = { ordinal: this.#ordinal, durable: this.#durableOrdinal, ...typeAndSeq(record) }
    writeFrame(frame, 0, { marker: this.#marker, head, payload })
    this.#keep({ record, ordinal: this.#ordinal, frame })
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
    this.#index.noteDurable(mark.ordinal)
  }

  get mark(): { readonly bytes: number; readonly ordinal: number } {
    return { bytes: this.#written, ordinal: this.#ordinal }
  }

  /** The newest record of this kind for `seq`, of `view` where given, that no crash takes back. */
  durable<Kind extends VoteRecord['kind']>(kind: Kind, seq: Seq, view?: number): RecordOf<Kind> | undefined {
    return this.#index.durable(kind, seq, view)
  }

  durableBody(seq: Seq, digest: Digest): boolean {
    return this.#index.durableBody(seq, digest)
  }

  /** The newest stable checkpoint that no crash takes back: it stands for all records of its seq and below. */
  get stableUpTo(): Seq {
    return this.#index.newestStable
  }

  /** [CP5] Nothing at or below this can be read. */
  get servedFrom(): Seq {
    return Math.max(this.#cutSummary.seqMax, this.#summary.skippedUpTo) as Seq
  }

  /** [CP5] [D4] As the vote log reads them: a mark and the batch that it names, consecutive. */
  readCommitted(range: {
    readonly from: Seq
    readonly upTo: Seq
    readonly bytesMax: number
  }): CommittedEntry[] {
    const entries: CommittedEntry[] = []
    let bytes = 0
    for (let seq = range.from; seq <= range.upTo && entries.length < ENTRIES_MAX; seq++) {
      const entry = this.#index.entryAt(seq)
      if (entry === undefined) break
      bytes += entry.batch.requests.reduce((sum, { body }) => sum + body.length, 0)
      if (entries.length > 0 && bytes > range.bytesMax) break
      entries.push(entry)
    }
    return entries
  }

  /** [CP1] [D4] Takes the oldest records away as far as they are at or below `upTo` and below the stable checkpoint. */
  cut(upTo: Seq): void {
    const stable = this.stableUpTo
    if (upTo > stable) {
      throw new Violation(
        'log-lost',
        `the log is to be cut up to ${upTo}, and ${stable} is stable on the disk`,
      )
    }
    const stays = this.#kept.findIndex(({ record, ordinal }) => {
      const seq = seqOfRecord(record)
      return ordinal > this.#durableOrdinal || seq > upTo || seq >= stable
    })
    const gone = this.#kept.splice(0, stays < 0 ? this.#kept.length : stays)
    if (gone.length === 0) return
    for (const { record } of gone) this.#archive?.push(record)
    const bytes = gone.reduce((sum, { frame }) => sum + frame.length, 0)
    this.#bytes.copyWithin(0, bytes, this.#written)
    this.#written -= bytes
    this.#synced = Math.max(0, this.#synced - bytes)
    this.#firstOrdinal += gone.length
    this.#cutSummary = gone.map(({ record }) => typeAndSeq(record)).reduce(summaryWith, this.#cutSummary)
    const standing = [...this.#carried, ...gone].filter(({ record }) => isStanding(record))
    this.#carried = [...new Map(standing.map((kept) => [kept.record.kind, kept])).values()]
    this.#carried.sort((a, b) => a.ordinal - b.ordinal)
    const carried = new Set(this.#carried.map(({ record }) => record))
    for (const { record } of [...standing, ...gone]) {
      if (!carried.has(record)) this.#index.remove(record)
    }
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

  /** A fault: nothing of the log is there at the next start. */
  lose(): void {
    this.#fault = 'lost'
  }

  /**
   * A fault: one bit of a record that was durable, and that a later one on the medium says was; without the latter it
   * would look like a torn write. False when there is none such.
   */
  flipBit(random: Random): boolean {
    const { frames, durable } = this.#scan(this.#synced)
    const proven = frames.filter(({ ordinal }) => ordinal <= durable)
    if (proven.length === 0) return false
    const { offset, length } = random.pick(proven)
    const at = random.int(offset, offset + length - 1)
    this.#bytes.writeUInt8(this.#bytes.readUInt8(at) ^ (1 << random.int(0, 7)), at)
    this.#fault = 'bit-flipped'
    return true
  }

  /**
   * What a start reads: the records above the newest stable checkpoint, with it, and the standing ones. Cuts a torn
   * tail. What was durable may be gone only by an injected fault.
   */
  recover(): Recovered {
    if (this.#fault === 'lost') return this.#beginAnew('missing')
    const { frames, verdict, end, nextOrdinal } = this.#scan(this.#written)
    if (verdict === 'corrupt') {
      if (this.#fault === 'bit-flipped') return this.#beginAnew('corrupt')
      throw new Violation('log-lost', `record ${nextOrdinal} was durable and is unreadable`)
    }
    if (end < this.#synced) throw new Violation('log-lost', 'a synced record is cut as a torn tail')
    const tornBytes = verdict === 'torn' ? this.#written - end : 0
    const carried = this.#carried.map(({ frame }) => this.#readBack(frame))
    const kept = frames.map(({ offset, length }) =>
      this.#readBack(this.#bytes.subarray(offset, offset + length)),
    )
    this.#index = new RecordIndex()
    this.#summary = this.#cutSummary
    this.#carried = carried
    this.#kept = []
    for (const one of carried) this.#index.add(one)
    for (const one of kept) this.#keep(one)
    this.#written = end
    this.#ordinal = nextOrdinal - 1
    this.#synced = end
    this.#durableOrdinal = this.#ordinal
    this.#index.noteDurable(this.#ordinal)
    return { votes: wantedRecords([...carried, ...kept].map(({ record }) => record)), tornBytes, lost: null }
  }

  #beginAnew(lost: 'missing' | 'corrupt'): Recovered {
    this.#written = this.#synced = this.#ordinal = this.#durableOrdinal = 0
    this.#firstOrdinal = 1
    this.#carried = []
    this.#kept = []
    this.#index = new RecordIndex()
    this.#cutSummary = this.#summary = EMPTY_LOG
    this.#fault = null
    const amnesia: VoteRecord = { kind: 'amnesia' }
    this.write([this.frame(amnesia)])
    this.#synced = this.#written
    this.#durableOrdinal = this.#ordinal
    this.#index.noteDurable(this.#ordinal)
    return { votes: [amnesia], tornBytes: 0, lost }
  }

  #keep(kept: Kept): void {
    this.#kept.push(kept)
    this.#index.add(kept)
    this.#summary = summaryWith(this.#summary, typeAndSeq(kept.record))
  }

  #scan(upTo: number) {
    const bytes = this.#bytes.subarray(0, upTo)
    return scanFrames(bytes, { marker: this.#marker, start: 0, firstOrdinal: this.#firstOrdinal })
  }

  /** From the bytes, as a start does; copied, because records keep views of them. */
  #readBack(bytes: Buffer): Kept {
    const copy = Buffer.from(bytes)
    const frame = readFrame(copy, 0, this.#marker)
    if (typeof frame === 'string') throw new Error('a frame that was scanned does not read')
    const record = decodeRecord(payloadOf(copy, frame))
    if (record === undefined) throw new Violation('log-lost', `record ${frame.ordinal} does not decode`)
    return { record, ordinal: frame.ordinal, frame: copy }
  }

  #reserve(more: number): void {
    if (this.#written + more <= this.#bytes.length) return
    const larger = Buffer.alloc(2 * (this.#written + more))
    this.#bytes.copy(larger, 0, 0, this.#written)
    this.#bytes = larger
  }
}

const typeAndSeq = (record: VoteRecord) => ({ type: RECORD_TYPE[record.kind], seq: seqOfRecord(record) })
