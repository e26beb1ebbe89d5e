import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Seq } from '../../../protocol/types.ts'
import type { CommittedReader } from './committed-reader.ts'
import { syncDirectory } from './segment-file.ts'
import type { Segment } from './segment-scan.ts'
import type { SegmentWriter } from './segment-writer.ts'
import { guarded } from './vote-log-error.ts'

/** Beside the segments: where those that are cut go when the log is opened with `archive`. */
export const ARCHIVE = 'archive'

/**
 * Which segments are still there, and which may go [CP1] [D4]. Those with a record at or above the newest stable
 * checkpoint are needed at the next start and never go; the others are for serving only.
 */
export class RetainedSegments {
  readonly #segments: Segment[]
  readonly #reader: CommittedReader
  readonly #writer: SegmentWriter
  readonly #archive: boolean

  /** `segments` is the log's own list. */
  constructor(args: {
    readonly segments: Segment[]
    readonly reader: CommittedReader
    readonly writer: SegmentWriter
    readonly archive: boolean
  }) {
    this.#segments = args.segments
    this.#reader = args.reader
    this.#writer = args.writer
    this.#archive = args.archive
  }

  /** See `VoteLog.servedFrom`. */
  get servedFrom(): Seq {
    const [first] = this.#segments
    const damaged = this.#segments.filter(({ state }) => state === 'damaged')
    const ends = [first?.header.earlier.seqMax ?? 0, ...damaged.map(({ content }) => content.seqMax)]
    return Math.max(this.#writer.summary.skippedUpTo, ...ends) as Seq
  }

  /** One call at a time, when all that is written is durable. See `VoteLog.cut`. */
  async cut(upTo: Seq): Promise<void> {
    for (;;) {
      const [oldest] = this.#segments
      if (oldest === undefined || oldest.content.seqMax > upTo || this.#isNeeded(oldest)) return
      this.#reader.noteCut(oldest)
      await removeSegment(oldest, { archive: this.#archive })
      this.#segments.shift()
    }
  }

  /** For an unreadable segment: whether the log goes on without it, and whether that is known already. */
  passOver(segment: Segment): 'not' | 'newly' | 'again' {
    if (this.#isNeeded(segment)) return 'not'
    if (segment.state === 'damaged') return 'again'
    segment.state = 'damaged'
    return 'newly'
  }

  #isNeeded(segment: Segment): boolean {
    return segment === this.#segments.at(-1) || segment.content.seqMax >= this.#writer.summary.newestStable
  }
}

/**
 * Takes one segment out of the log, durably before it returns. Were several taken at once, a power cut could leave an
 * earlier one without a later one, and that hole would read as damage.
 *
 * @throws VoteLogError 'io'
 */
function removeSegment({ path }: Segment, { archive }: { archive: boolean }): Promise<void> {
  const directory = dirname(path)
  return guarded(path, archive ? 'moving it to the archive' : 'deleting it', async () => {
    if (archive) {
      const shelf = join(directory, ARCHIVE)
      if ((await mkdir(shelf, { recursive: true })) !== undefined) await syncDirectory(directory)
      await rename(path, join(shelf, basename(path)))
      await syncDirectory(shelf)
    } else {
      await rm(path)
    }
    await syncDirectory(directory)
  })
}
