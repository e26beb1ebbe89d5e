import { dirname } from 'node:path'
import type { CommittedReader } from './committed-reader.ts'
import { type Frame, payloadOf } from './frames.ts'
import { Group } from './group.ts'
import { isStandingType } from './record-codec.ts'
import type { RecoveredLog } from './recovery.ts'
import { SegmentFile } from './segment-file.ts'
import {
  contentWith,
  emptyContent,
  encodeSegmentHeader,
  type LogSummary,
  type SegmentHeader,
  summaryWith,
} from './segment-header.ts'
import type { Segment } from './segment-scan.ts'
import { SyncPace } from './sync-pace.ts'
import type { StandingByType } from './wanted-records.ts'

/**
 * Puts groups into the last segment and starts the next one when it is full. One call at a time; after the first
 * that rejects (with a VoteLogError) only `close` may follow [D2].
 */
export class SegmentWriter {
  readonly #segments: Segment[]
  readonly #reader: CommittedReader
  readonly #segmentBytesMax: number
  /** What is written, and what the next segment carries. */
  readonly #standing: StandingByType
  readonly #pace: SyncPace
  #file: SegmentFile
  #summary: LogSummary

  constructor(
    { segments, tail, summary, standing }: RecoveredLog,
    options: {
      readonly reader: CommittedReader
      readonly segmentBytesMax: number
      readonly inlineSyncMsMax: number
    },
  ) {
    const { reader, segmentBytesMax, inlineSyncMsMax } = options
    this.#pace = new SyncPace(inlineSyncMsMax)
    this.#segments = segments
    this.#reader = reader
    this.#segmentBytesMax = segmentBytesMax
    this.#file = tail
    this.#summary = summary
    this.#standing = standing
  }

  /** Of all that is written. */
  get summary(): LogSummary {
    return this.#summary
  }

  get isSynced(): boolean {
    return this.#file.isSynced
  }

  /** What survives a power cut now: all segments before this one, and so many bytes of it. */
  get lastSyncedLength(): { readonly segment: string; readonly bytes: number } {
    return { segment: this.#file.path, bytes: this.#file.syncedBytes }
  }

  async write(group: Group): Promise<void> {
    const [first] = group.frames
    if (first === undefined) return
    if (this.#isFull(group.length)) await this.#startNext(first.ordinal)
    const segment = this.#last()
    await this.#file.write(group.bytes, this.#pace.isInline)
    this.#noteStanding(group)
    const start = segment.content.bytes
    const frames: Frame[] = group.frames.map((frame) => ({ ...frame, offset: start + frame.offset }))
    segment.content = frames.reduce(contentWith, segment.content)
    this.#summary = frames.reduce(summaryWith, this.#summary)
    this.#reader.noteWritten(frames)
  }

  async sync(): Promise<void> {
    const startedMs = performance.now()
    await this.#file.sync(this.#pace.isInline)
    this.#pace.took(performance.now() - startedMs)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #noteStanding(group: Group): void {
    for (const frame of group.frames) {
      if (!isStandingType(frame.type)) continue
      const payload = Uint8Array.from(payloadOf(group.bytes, frame))
      this.#standing.set(frame.type, { head: frame, payload })
    }
  }

  #isFull(more: number): boolean {
    const { content, recordsAt } = this.#last()
    return content.bytes > recordsAt && content.bytes + more > this.#segmentBytesMax
  }

  /** The next segment's header vouches for all of this one, so this one is durable first. */
  async #startNext(firstOrdinal: number): Promise<void> {
    const sealed = this.#last()
    if (!this.#file.isSynced) await this.sync()
    const carried = new Group()
    const { marker } = sealed.header
    for (const { head, payload } of this.#standing.values()) carried.add(head, { marker, payload })
    const header: SegmentHeader = {
      ...sealed.header,
      segment: sealed.header.segment + 1,
      firstOrdinal,
      carriedBytes: carried.length,
      earlier: this.#summary,
      previous: sealed.content,
    }
    const next = await SegmentFile.create(dirname(sealed.path), { header, carried: carried.bytes })
    await this.#file.close()
    this.#file = next
    const headerBytes = encodeSegmentHeader(header).length
    const recordsAt = headerBytes + carried.length
    this.#reader.noteSealed(sealed)
    this.#segments.push({
      path: next.path,
      header,
      headerBytes,
      recordsAt,
      content: emptyContent(recordsAt),
      state: 'whole',
    })
  }

  #last(): Segment {
    const last = this.#segments.at(-1)
    if (last === undefined) throw new Error('a log has at least one segment')
    return last
  }
}
