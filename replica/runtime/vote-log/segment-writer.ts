import { dirname } from 'node:path'
import type { Seq } from '../../../protocol/types.ts'
import type { CommittedReader } from './committed-reader.ts'
import type { Frame } from './frames.ts'
import type { Group } from './group.ts'
import { newerStable, type RecoveredLog } from './recovery.ts'
import { SegmentFile } from './segment-file.ts'
import { contentWith, emptyContent, encodeSegmentHeader, type SegmentHeader } from './segment-header.ts'
import type { Segment } from './segment-scan.ts'

/**
 * Puts groups into the last segment and starts the next one when it is full. One call at a time; after the first
 * that rejects (with a VoteLogError) only `close` may follow [D2].
 */
export class SegmentWriter {
  readonly #segments: Segment[]
  readonly #reader: CommittedReader
  readonly #segmentBytesMax: number
  #file: SegmentFile
  #newestStable: Seq

  constructor(
    { segments, tail, newestStable }: RecoveredLog,
    { reader, segmentBytesMax }: { reader: CommittedReader; segmentBytesMax: number },
  ) {
    this.#segments = segments
    this.#reader = reader
    this.#segmentBytesMax = segmentBytesMax
    this.#file = tail
    this.#newestStable = newestStable
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
    await this.#file.write(group.bytes)
    const start = segment.content.bytes
    const frames: Frame[] = group.frames.map((frame) => ({ ...frame, offset: start + frame.offset }))
    segment.content = frames.reduce(contentWith, segment.content)
    this.#newestStable = frames.reduce(newerStable, this.#newestStable)
    this.#reader.noteWritten(frames)
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  #isFull(more: number): boolean {
    const { content, headerBytes } = this.#last()
    return content.bytes > headerBytes && content.bytes + more > this.#segmentBytesMax
  }

  /** The next segment's header vouches for all of this one, so this one is durable first. */
  async #startNext(firstOrdinal: number): Promise<void> {
    const sealed = this.#last()
    if (!this.#file.isSynced) await this.#file.sync()
    const header: SegmentHeader = {
      ...sealed.header,
      segment: sealed.header.segment + 1,
      firstOrdinal,
      newestStable: this.#newestStable,
      previous: sealed.content,
    }
    const next = await SegmentFile.create(dirname(sealed.path), header)
    await this.#file.close()
    this.#file = next
    const headerBytes = encodeSegmentHeader(header).length
    this.#reader.noteSealed(sealed)
    this.#segments.push({ path: next.path, header, headerBytes, content: emptyContent(headerBytes) })
  }

  #last(): Segment {
    const last = this.#segments.at(-1)
    if (last === undefined) throw new Error('a log has at least one segment')
    return last
  }
}
