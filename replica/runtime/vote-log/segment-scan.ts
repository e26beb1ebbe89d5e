import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import type { Frame } from './frames.ts'
import { MARK_FRAME, ordinalAfter, payloadOf, readFrame } from './frames.ts'
import type { SegmentContent, SegmentHeader } from './segment-header.ts'
import { corruptAt, guarded } from './vote-log-error.ts'

/** A segment of the open log. `content` of the last one is replaced as it grows. */
export type Segment = {
  readonly path: string
  readonly header: SegmentHeader
  readonly headerBytes: number
  /** Behind the header and the records that it carries. */
  readonly recordsAt: number
  content: SegmentContent
  /** 'cut': deleted or put away, or about to be; 'damaged': unreadable, and not needed for anything but serving. */
  state: 'whole' | 'cut' | 'damaged'
}

/** `payload` is a view: copy it to keep it. */
export type FrameVisitor = (frame: Frame, payload: () => Buffer) => void

const CHUNK_BYTES = 2 ** 18

/**
 * Reads a sealed segment in chunks and hands out its frames in order, those that it carries first, marks left out. At
 * start sealed segments are read only from the first on that holds something at or above the stable checkpoint, so
 * damage to the others is found here, when they are first served from.
 *
 * @throws VoteLogError 'corrupt' or 'io'
 */
export function visitFrames(segment: Segment, visit: FrameVisitor): Promise<void> {
  return guarded(segment.path, 'reading', async () => {
    const handle = await open(segment.path, 'r')
    try {
      await visitAll(handle, segment, visit)
    } finally {
      await handle.close()
    }
  })
}

async function visitAll(handle: FileHandle, segment: Segment, visit: FrameVisitor): Promise<void> {
  const { header, headerBytes, recordsAt, content, path } = segment
  let nextOrdinal = header.firstOrdinal
  // `window` holds the file's bytes from `start` on; those before `at` are done.
  let window: Buffer = Buffer.alloc(0)
  let start = headerBytes
  let at = 0
  while (start + at < content.bytes) {
    const frame = readFrame(window, at, header.marker)
    if (frame === 'incomplete') {
      const position = start + window.length
      // As much again as is there, so that a large frame is not copied once per chunk.
      const length = Math.min(Math.max(CHUNK_BYTES, window.length - at), content.bytes - position)
      if (length === 0) throw corruptAt(path, start + at, 'a record reaches beyond the end of its segment')
      window = Buffer.concat([window.subarray(at), await readExactly(handle, { path, position, length })])
      start += at
      at = 0
    } else {
      const isCarried = start + at < recordsAt
      if (frame === 'bad' || (!isCarried && frame.ordinal !== nextOrdinal)) {
        throw corruptAt(path, start + at, unreadable(isCarried, nextOrdinal))
      }
      const view = window
      if (frame.type !== MARK_FRAME) visit({ ...frame, offset: start + at }, () => payloadOf(view, frame))
      if (!isCarried) nextOrdinal = ordinalAfter(frame)
      at += frame.length
    }
  }
}

const unreadable = (isCarried: boolean, ordinal: number): string =>
  isCarried ? 'a record that stays in force is unreadable' : `record ${ordinal} is unreadable`

/**
 * The records that the segment carries; `bytes` begin where its file does.
 *
 * @throws VoteLogError 'corrupt'
 */
export function carriedFrames({ path, header, headerBytes, recordsAt }: Segment, bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let at = headerBytes; at < recordsAt; ) {
    const frame = readFrame(bytes, at, header.marker)
    if (typeof frame === 'string') throw corruptAt(path, at, unreadable(true, 0))
    frames.push(frame)
    at += frame.length
  }
  return frames
}

/** @throws VoteLogError 'corrupt' when the file ends before; else what the file system throws. */
export async function readExactly(
  handle: FileHandle,
  { path, position, length }: { path: string; position: number; length: number },
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) throw corruptAt(path, position + done, 'the file ends before its records do')
    done += bytesRead
  }
  return bytes
}
