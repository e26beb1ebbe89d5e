import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import type { Batch } from '../../../protocol/messages.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import type { Seq } from '../../../protocol/types.ts'
import type { CommittedEntry, VoteRecord } from '../../core/vote-record.ts'
import { type Frame, payloadOf, readFrame } from './frames.ts'
import { decodeRecord, isBodyType, RECORD_TYPE } from './record-codec.ts'
import type { SeqRange } from './segment-header.ts'
import { readExactly, type Segment, visitFrames } from './segment-scan.ts'
import { corruptAt, guarded, VoteLogError } from './vote-log-error.ts'

/** Sealed segments whose index is kept; of 16 MB of small records one takes about 1 MB. */
const INDEXES_MAX = 4
/** Bounds the work of one call. */
const ENTRIES_MAX = 512

type Place = { readonly segment: Segment; readonly offset: number; readonly length: number }
/** Where the records about one sequence number lie, oldest first. */
type Places = { readonly marks: Place[]; readonly bodies: Place[] }

/** Where batches and committed marks lie in one segment, in log order. Parallel arrays, because there are many. */
class SegmentIndex {
  readonly #types: number[] = []
  readonly #seqs: number[] = []
  readonly #offsets: number[] = []
  readonly #lengths: number[] = []

  add(frame: Frame): void {
    if (!isBodyType(frame.type) && frame.type !== RECORD_TYPE.committed) return
    this.#types.push(frame.type)
    this.#seqs.push(frame.seq)
    this.#offsets.push(frame.offset)
    this.#lengths.push(frame.length)
  }

  /** Adds what lies in `segment` about the numbers that `into` asks for. */
  collect(segment: Segment, into: ReadonlyMap<number, Places>): void {
    for (let i = 0; i < this.#seqs.length; i++) {
      const places = into.get(this.#seqs[i] ?? 0)
      if (places === undefined) continue
      const place: Place = { segment, offset: this.#offsets[i] ?? 0, length: this.#lengths[i] ?? 0 }
      if (this.#types[i] === RECORD_TYPE.committed) places.marks.push(place)
      else places.bodies.push(place)
    }
  }
}

/** An unreadable segment that nothing but serving needs: it is passed over from then on. */
export type OnDamage = (segment: Segment, error: VoteLogError) => boolean

/**
 * Serves committed batches from the segments, for redo and for peers [CP5] [D4]. Memory is bounded however long the
 * log is: a segment is found by its ranges of sequence numbers, a record in it by an index that is made by reading
 * the segment and kept for the last few used. A segment that is cut while it is read is read to its end or given up.
 */
export class CommittedReader {
  readonly #segments: readonly Segment[]
  readonly #onDamage: OnDamage
  /** Least recently used first. */
  readonly #sealed = new Map<Segment, SegmentIndex>()
  #tail: SegmentIndex

  /**
   * `segments` is the log's own list, the tail last; `tailFrames` are the records that the tail has already. `onDamage`
   * tells whether reading goes on without that segment.
   */
  constructor(
    { segments, tailFrames }: { segments: readonly Segment[]; tailFrames: readonly Frame[] },
    onDamage: OnDamage,
  ) {
    this.#segments = segments
    this.#onDamage = onDamage
    this.#tail = new SegmentIndex()
    this.noteWritten(tailFrames)
  }

  /** Records that now lie in the tail. */
  noteWritten(frames: readonly Frame[]): void {
    for (const frame of frames) this.#tail.add(frame)
  }

  /** Call when the tail is sealed, before the next one is written to. */
  noteSealed(segment: Segment): void {
    this.#keep(segment, this.#tail)
    this.#tail = new SegmentIndex()
  }

  /** Call when the segment is about to be cut. */
  noteCut(segment: Segment): void {
    segment.state = 'cut'
    this.#sealed.delete(segment)
  }

  /** See `VoteLog.readCommitted`. */
  async read({
    from,
    upTo,
    bytesMax,
  }: {
    from: Seq
    upTo: Seq
    bytesMax: number
  }): Promise<CommittedEntry[]> {
    const last = Math.min(upTo, from + ENTRIES_MAX - 1)
    const wanted = await this.#find({ from, last })
    const entries: CommittedEntry[] = []
    await using files = new OpenFiles()
    const readRecord = (place: Place) => this.#unlessGone(place.segment, () => files.readRecord(place))
    let bytes = 0
    for (const [seq, places] of wanted) {
      const found = await committedEntry(seq as Seq, places, readRecord)
      if (found === undefined) break
      bytes += found.bytes
      if (entries.length > 0 && bytes > bytesMax) break
      entries.push(found.entry)
    }
    return entries
  }

  async #find({ from, last }: { from: number; last: number }): Promise<ReadonlyMap<number, Places>> {
    const wanted = new Map<number, Places>()
    for (let seq = from; seq <= last; seq++) wanted.set(seq, { marks: [], bodies: [] })
    const touches = (range: SeqRange | null) => range !== null && range.min <= last && range.max >= from
    for (const segment of [...this.#segments]) {
      if (segment.state !== 'whole') continue
      if (!touches(segment.content.bodies) && !touches(segment.content.marks)) continue
      const index = await this.#unlessGone(segment, () => this.#indexOf(segment))
      index?.collect(segment, wanted)
    }
    return wanted
  }

  /** Undefined when the segment was cut meanwhile, or is damaged and can be passed over. */
  async #unlessGone<T>(segment: Segment, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof VoteLogError)) throw error
      if (segment.state === 'cut') return undefined
      if (error.code !== 'corrupt' || !this.#onDamage(segment, error)) throw error
      this.#sealed.delete(segment)
      return undefined
    }
  }

  async #indexOf(segment: Segment): Promise<SegmentIndex> {
    if (segment === this.#segments.at(-1)) return this.#tail
    let index = this.#sealed.get(segment)
    if (index === undefined) {
      const made = new SegmentIndex()
      await visitFrames(segment, (frame) => made.add(frame))
      index = made
    }
    if (segment.state === 'whole') this.#keep(segment, index)
    return index
  }

  #keep(segment: Segment, index: SegmentIndex): void {
    this.#sealed.delete(segment)
    this.#sealed.set(segment, index)
    const [oldest] = this.#sealed.keys()
    if (this.#sealed.size > INDEXES_MAX && oldest !== undefined) this.#sealed.delete(oldest)
  }
}

/** A mark and the batch that it names; of several marks the newest with a proof, else the newest. */
async function committedEntry(
  seq: Seq,
  places: Places,
  readRecord: (place: Place) => Promise<VoteRecord | undefined>,
): Promise<{ entry: CommittedEntry; bytes: number } | undefined> {
  let mark: (VoteRecord & { kind: 'committed' }) | undefined
  for (const place of places.marks.toReversed()) {
    const record = await readRecord(place)
    if (record?.kind !== 'committed') continue
    mark ??= record
    if (record.commits.length > 0) {
      mark = record
      break
    }
  }
  if (mark === undefined) return undefined
  const { view, digest, commits } = mark
  // Its digest says all of it: nobody logs the null batch.
  if (digest === NULL_BATCH.digest)
    return { entry: { seq, view, digest, commits, batch: NULL_BATCH }, bytes: 0 }
  for (const place of places.bodies.toReversed()) {
    const batch = batchOf(await readRecord(place))
    if (batch?.digest === digest) return { entry: { seq, view, digest, commits, batch }, bytes: place.length }
  }
  return undefined
}

const batchOf = (record: VoteRecord | undefined): Batch | undefined =>
  record?.kind === 'pre-prepare' || record?.kind === 'batch' ? record.batch : undefined

/** Bytes that are read at once, from a multiple of it on: marks and bodies of neighbours lie close together. */
const CHUNK_BYTES = 2 ** 16

type OpenFile = { readonly handle: FileHandle; start: number; chunk: Buffer }

/** The files that one read touches. */
class OpenFiles {
  readonly #files = new Map<Segment, OpenFile>()

  async readRecord(place: Place): Promise<VoteRecord> {
    const { segment, offset } = place
    const bytes = await guarded(segment.path, 'reading a record', () => this.#read(place))
    const frame = readFrame(bytes, 0, segment.header.marker)
    // A copy: the record keeps views of it, and these should not keep a whole chunk.
    const record =
      typeof frame === 'string' ? undefined : decodeRecord(Uint8Array.from(payloadOf(bytes, frame)))
    if (record === undefined) throw corruptAt(segment.path, offset, 'a record is unreadable')
    return record
  }

  async #read({ segment, offset, length }: Place): Promise<Buffer> {
    const file = await this.#open(segment)
    const end = offset + length
    if (offset < file.start || end > file.start + file.chunk.length) {
      const start = offset - (offset % CHUNK_BYTES)
      const upTo = Math.max(end, Math.min(start + CHUNK_BYTES, segment.content.bytes))
      file.chunk = await readExactly(file.handle, {
        path: segment.path,
        position: start,
        length: upTo - start,
      })
      file.start = start
    }
    return file.chunk.subarray(offset - file.start, end - file.start)
  }

  async #open(segment: Segment): Promise<OpenFile> {
    const known = this.#files.get(segment)
    if (known !== undefined) return known
    const file = { handle: await open(segment.path, 'r'), start: 0, chunk: Buffer.alloc(0) }
    this.#files.set(segment, file)
    return file
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { handle } of this.#files.values()) await handle.close()
  }
}
