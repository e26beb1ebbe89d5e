import type { LogPosition, Seq } from '../../../protocol/types.ts'
import type { CommittedEntry, VoteRecord } from '../../core/vote-record.ts'
import { seqOfRecord } from '../../core/vote-record.ts'
import { CommittedReader } from './committed-reader.ts'
import { createLog, type Replaced, replaceLog } from './creation.ts'
import { DirectoryLock } from './directory-lock.ts'
import { MARK_FRAME } from './frames.ts'
import { Group } from './group.ts'
import { encodeRecord, RECORD_TYPE } from './record-codec.ts'
import { type RecoveredLog, recoverLog } from './recovery.ts'
import { RetainedSegments } from './retained-segments.ts'
import type { LogIdentity } from './segment-header.ts'
import { listSegments } from './segment-list.ts'
import type { Segment } from './segment-scan.ts'
import { SegmentWriter } from './segment-writer.ts'
import { INLINE_SYNC_MS_MAX } from './sync-pace.ts'
import { SyncedNote } from './synced-note.ts'
import { missingLog, VoteLogError } from './vote-log-error.ts'
import { Waiters } from './waiters.ts'

/** A segment is sealed when the next group would make it larger. */
const SEGMENT_BYTES_MAX = 16 * 2 ** 20
/** How long a record that is no vote may wait for a vote's fdatasync before it gets one of its own. */
const UNSYNCED_MS_MAX = 10
/** Records that are no votes are written when there are so many of them. */
const UNWRITTEN_BYTES_MAX = 2 ** 20

export type OpenOptions = LogIdentity & {
  readonly segmentBytesMax?: number
  /** Keep segments that are cut, in `archive/` of the directory. */
  readonly archive?: boolean
  /** Keep on file what is synced, so that `cutToSynced` can imitate a power cut of a process that was killed. */
  readonly noteSynced?: boolean
  /** While an fdatasync takes less than so long, the event loop waits for it; 0: never. */
  readonly inlineSyncMsMax?: number
}

export type OpenedLog = {
  readonly log: VoteLog
  /**
   * In log order: every record above the newest stable checkpoint, that `stable` record itself, and own CHECKPOINTs
   * at or above it; everything when there is none. Of standing records (`isStanding`) the newest of each kind,
   * however old.
   */
  readonly recovered: readonly VoteRecord[]
  readonly stats: { readonly segments: number; readonly records: number; readonly tornBytesCut: number }
}

/**
 * The vote log [D1] [D2]: what this replica said, on disk before it was said. Append-only segments of CRC-framed
 * records; one write and one fdatasync at a time carry everything that was appended meanwhile (group commit); one
 * process per directory.
 */
export class VoteLog {
  /**
   * Every record up to this position, vote or not, is durable: one fdatasync covers all that was written before it.
   * Called in ascending order, from the event loop. Records that are no votes [D1] start no fdatasync of their own
   * for about UNSYNCED_MS_MAX; until then no report comes for them unless a vote's covers them.
   */
  onPersisted: (upTo: LogPosition) => void = () => {}
  /**
   * A write or fdatasync failed. Called once; nothing is retried and nothing reported persisted afterwards, so the
   * replica must stop [D2].
   */
  onFailure: (error: VoteLogError) => void = (error) => {
    throw error
  }
  /**
   * [D2] A segment below the stable checkpoint is unreadable. It holds no vote that still binds, so the log goes on
   * without it and serves from above it; but the disk is not to be trusted.
   */
  onDamage: (error: VoteLogError) => void = () => {}

  readonly #lock: DirectoryLock
  readonly #writer: SegmentWriter
  readonly #reader: CommittedReader
  readonly #marker: Uint8Array
  readonly #retained: RetainedSegments
  readonly #note: SyncedNote | undefined
  /** Ordinal of the last record before this process's first: a position is an ordinal less this. */
  readonly #ordinalBase: number

  /** Takes what is appended; the other group is being written, or empty. */
  #pending = new Group()
  #spare = new Group()
  /** Ordinals: claimed <= durable <= written <= appended. */
  #appended: number
  #written: number
  #durable: number
  /** What the newest frame says to be durable. */
  #claimed: number
  #newestAwaited = 0

  #wanted: 'nothing' | 'write' | 'sync' = 'nothing'
  #running: Promise<void> | undefined
  #failure: VoteLogError | undefined
  #isClosed = false
  readonly #waiters = new Waiters()
  #cutting: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  private constructor(lock: DirectoryLock, recovered: RecoveredLog, options: OpenOptions) {
    const [first] = recovered.segments
    if (first === undefined) throw new Error('a log has at least one segment')
    this.#lock = lock
    const { segments } = recovered
    const { segmentBytesMax = SEGMENT_BYTES_MAX, archive = false, noteSynced = false } = options
    const { inlineSyncMsMax = INLINE_SYNC_MS_MAX } = options
    this.#reader = new CommittedReader(recovered, (segment, error) => this.#passOver(segment, error))
    this.#writer = new SegmentWriter(recovered, { reader: this.#reader, segmentBytesMax, inlineSyncMsMax })
    this.#retained = new RetainedSegments({ segments, reader: this.#reader, writer: this.#writer, archive })
    this.#marker = first.header.marker
    this.#ordinalBase = recovered.nextOrdinal - 1
    this.#appended = this.#written = this.#durable = this.#ordinalBase
    this.#claimed = recovered.claimed
    this.#note = noteSynced ? SyncedNote.beside(first.path) : undefined
    this.#note?.write(this.lastSyncedLength())
  }

  /**
   * Makes an empty log: what `init` does, once in a replica's life.
   *
   * @throws VoteLogError 'exists', 'locked' or 'io'
   */
  static create(directory: string, identity: LogIdentity): Promise<void> {
    return createLog(directory, identity)
  }

  /**
   * [D5] For a log that `open` calls missing or corrupt: its files are kept aside, as `<directory>.lost-<n>`, and a log
   * takes its place whose first record is 'amnesia'. Durable before it returns.
   *
   * @throws VoteLogError 'exists' when the log is whole; 'foreign', 'other-version', 'locked' or 'io'
   */
  static replaceLost(directory: string, identity: LogIdentity): Promise<Replaced> {
    return replaceLog(directory, identity)
  }

  /**
   * Locks and recovers the log. A torn tail is cut; what is returned is durable.
   *
   * @throws VoteLogError 'missing', 'foreign', 'other-version', 'corrupt', 'locked' or 'io'
   */
  static async open(directory: string, options: OpenOptions): Promise<OpenedLog> {
    // Looked at before the lock, which would leave its file in a directory that is none of ours.
    if ((await listSegments(directory)).length === 0) throw missingLog(directory)
    const lock = DirectoryLock.take(directory)
    try {
      const recovered = await recoverLog(directory, options)
      return {
        log: new VoteLog(lock, recovered, options),
        recovered: recovered.records,
        stats: {
          segments: recovered.segments.length,
          records: recovered.nextOrdinal - 1,
          tornBytesCut: recovered.tornBytesCut,
        },
      }
    } catch (error) {
      lock.release()
      throw error
    }
  }

  /**
   * Buffers the record. Positions count from 1 in steps of 1. `sync`: something waits until it is durable, so that
   * `flush` starts an fdatasync for it. After a failure, nothing is taken any more.
   */
  append(position: LogPosition, record: VoteRecord, sync: boolean): void {
    if (this.#isClosed) throw new Error('append to a closed vote log')
    if (this.#failure !== undefined) return
    const ordinal = this.#ordinalBase + position
    if (ordinal !== this.#appended + 1) throw new Error(`vote log position ${position} is out of order`)
    this.#appended = ordinal
    if (sync) this.#newestAwaited = ordinal
    this.#addFrame(
      { ordinal, type: RECORD_TYPE[record.kind], seq: seqOfRecord(record) },
      encodeRecord(record),
    )
  }

  /**
   * Call at the end of an event-loop turn. With an awaited record appended, starts a write and fdatasync of all that is
   * buffered, unless one is under way: then the next starts when that ends.
   */
  flush(): void {
    if (this.#newestAwaited > this.#durable) this.#want('sync')
    else if (this.#pending.length > UNWRITTEN_BYTES_MAX) this.#want('write')
    this.#armTimer()
  }

  /**
   * Consecutive committed batches with their marks, starting at `from`; it sees all that was appended before the
   * call. Ends before the first sequence number that the log does not hold both of, before the entry that would
   * exceed `bytesMax` (of batches; the first entry comes whatever its size), and after 512 entries.
   *
   * @throws VoteLogError 'corrupt' when a segment turns out to be damaged that is not below the stable checkpoint, or
   * 'io'
   */
  async readCommitted(range: { from: Seq; upTo: Seq; bytesMax: number }): Promise<CommittedEntry[]> {
    await this.#reached('written', this.#appended)
    return this.#reader.read(range)
  }

  /** [CP5] Nothing at or below this can be read; every committed batch above it may still be there. */
  servedFrom(): Seq {
    return this.#retained.servedFrom
  }

  /**
   * [CP1] [D4] Takes away the oldest segments, as long as they hold nothing above `upTo`, nothing at or above the newest
   * stable checkpoint, and are not the one that is written to. Not before all that was appended is durable: that
   * checkpoint's record is what stands for them.
   *
   * @throws VoteLogError 'io'; the log can still be written, but the disk is not to be trusted
   */
  cut(upTo: Seq): Promise<void> {
    if (this.#isClosed) throw new Error('cut of a closed vote log')
    const cutting = this.#cutting.then(async () => {
      await this.#reached('durable', this.#appended)
      await this.#retained.cut(upTo)
    })
    this.#cutting = cutting.catch(() => {})
    return cutting
  }

  /** What survives a power cut now: all earlier segments, and so much of this one. */
  lastSyncedLength(): { readonly segment: string; readonly bytes: number } {
    return this.#writer.lastSyncedLength
  }

  /** Makes everything appended durable, unless the log has failed, and lets another process have it. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#timer)
    try {
      this.#want('sync')
      await this.#running
      await this.#cutting
      this.#addMark()
      this.#want('sync')
      await this.#running
      await this.#writer.close()
    } finally {
      this.#note?.close()
      this.#lock.release()
    }
  }

  #addFrame(
    head: { readonly ordinal: number; readonly type: number; readonly seq: number },
    payload: Uint8Array,
  ): void {
    this.#claimed = this.#durable
    this.#pending.add({ ...head, durable: this.#durable }, { marker: this.#marker, payload })
  }

  /** Puts on record that all that is durable is, where no later record says so. */
  #addMark(): void {
    if (this.#failure !== undefined || this.#claimed === this.#durable) return
    this.#addFrame({ ordinal: this.#appended + 1, type: MARK_FRAME, seq: 0 }, EMPTY)
  }

  #want(what: 'write' | 'sync'): void {
    if (this.#failure !== undefined) return
    if (this.#wanted !== 'sync') this.#wanted = what
    this.#running ??= this.#work()
  }

  async #work(): Promise<void> {
    while (this.#wanted !== 'nothing') {
      const sync = this.#wanted === 'sync'
      this.#wanted = 'nothing'
      const failure = await this.#commit(sync)
      if (failure !== undefined) {
        this.#fail(failure)
        break
      }
    }
    this.#running = undefined
  }

  /** One write of what is pending, and one fdatasync if asked for. Returns why it could not. */
  async #commit(sync: boolean): Promise<VoteLogError | undefined> {
    const group = this.#pending
    const upTo = this.#appended
    this.#pending = this.#spare
    this.#spare = group
    try {
      await this.#writer.write(group)
      group.clear()
      this.#written = upTo
      if (sync && !this.#writer.isSynced) await this.#writer.sync()
      if (sync) this.#note?.write(this.lastSyncedLength())
    } catch (error) {
      if (error instanceof VoteLogError) return error
      throw error
    }
    const isNews = sync && this.#durable < upTo
    if (isNews) this.#durable = upTo
    this.#settleWaiters()
    if (isNews) this.onPersisted((upTo - this.#ordinalBase) as LogPosition)
    return undefined
  }

  #fail(failure: VoteLogError): void {
    this.#failure = failure
    this.#wanted = 'nothing'
    this.#pending.clear()
    this.#settleWaiters()
    this.onFailure(failure)
  }

  #reached(until: 'written' | 'durable', ordinal: number): Promise<void> {
    const reached = this.#waiters.add(until, ordinal)
    if (until === 'durable' && ordinal > this.#durable) this.#want('sync')
    else if (ordinal > this.#written) this.#want('write')
    this.#settleWaiters()
    return reached
  }

  #settleWaiters(): void {
    this.#waiters.settle({ written: this.#written, durable: this.#durable }, this.#failure)
  }

  #passOver(segment: Segment, error: VoteLogError): boolean {
    const passed = this.#retained.passOver(segment)
    if (passed === 'newly') this.onDamage(error)
    return passed !== 'not'
  }

  /** Runs until all that was appended is durable and the log says so. */
  #armTimer(): void {
    if (this.#timer !== undefined || this.#isClosed) return
    if (this.#appended === this.#durable && this.#claimed === this.#durable) return
    const upTo = this.#appended
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#onTimer(upTo)
    }, UNSYNCED_MS_MAX).unref()
  }

  #onTimer(upTo: number): void {
    if (this.#failure !== undefined) return
    if (this.#durable < upTo) {
      this.#want('sync')
    } else if (this.#appended === this.#durable) {
      this.#addMark()
      this.#want('write')
    }
    this.#armTimer()
  }
}

const EMPTY = new Uint8Array(0)
