import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { randomBytes } from '../../../protocol/crypto.ts'
import type { LogPosition, Seq } from '../../../protocol/types.ts'
import type { CommittedEntry, VoteRecord } from '../../core/vote-record.ts'
import { seqOfRecord } from '../../core/vote-record.ts'
import { CommittedReader } from './committed-reader.ts'
import { DirectoryLock } from './directory-lock.ts'
import { MARK_FRAME, MARKER_BYTES } from './frames.ts'
import { Group } from './group.ts'
import { encodeRecord, RECORD_TYPE } from './record-codec.ts'
import { type RecoveredLog, recoverLog } from './recovery.ts'
import { SegmentFile, syncDirectory } from './segment-file.ts'
import type { LogIdentity } from './segment-header.ts'
import { listSegments } from './segment-list.ts'
import { SegmentWriter } from './segment-writer.ts'
import { guarded, missingLog, VoteLogError } from './vote-log-error.ts'

/** A segment is sealed when the next group would make it larger. */
const SEGMENT_BYTES_MAX = 16 * 2 ** 20
/** How long a record that is no vote may wait for a vote's fdatasync before it gets one of its own. */
const UNSYNCED_MS_MAX = 10
/** Records that are no votes are written when there are so many of them. */
const UNWRITTEN_BYTES_MAX = 2 ** 20

export type OpenOptions = LogIdentity & { readonly segmentBytesMax?: number }

export type OpenedLog = {
  readonly log: VoteLog
  /**
   * In log order: every record above the newest stable checkpoint, that `stable` record itself, and own CHECKPOINTs
   * at or above it; everything when there is none.
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

  readonly #lock: DirectoryLock
  readonly #writer: SegmentWriter
  readonly #reader: CommittedReader
  readonly #marker: Uint8Array
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
  #waiters: { readonly ordinal: number; readonly done: PromiseWithResolvers<void> }[] = []
  #timer: NodeJS.Timeout | undefined

  private constructor(lock: DirectoryLock, recovered: RecoveredLog, segmentBytesMax: number) {
    const [first] = recovered.segments
    if (first === undefined) throw new Error('a log has at least one segment')
    this.#lock = lock
    this.#reader = new CommittedReader(recovered.segments, recovered.tailFrames)
    this.#writer = new SegmentWriter(recovered, { reader: this.#reader, segmentBytesMax })
    this.#marker = first.header.marker
    this.#ordinalBase = recovered.nextOrdinal - 1
    this.#appended = this.#written = this.#durable = this.#ordinalBase
    this.#claimed = recovered.claimed
  }

  /**
   * Makes an empty log: what `init` does, once in a replica's life.
   *
   * @throws VoteLogError 'exists', 'locked' or 'io'
   */
  static async create(directory: string, identity: LogIdentity): Promise<void> {
    await guarded(directory, 'making the directory', async () => {
      await mkdir(directory, { recursive: true })
      await syncDirectory(dirname(directory))
    })
    const lock = DirectoryLock.take(directory)
    try {
      if ((await listSegments(directory)).length > 0) throw existingLog(directory)
      const file = await SegmentFile.create(directory, {
        ...identity,
        marker: randomBytes(MARKER_BYTES),
        segment: 1,
        firstOrdinal: 1,
        newestStable: 0 as Seq,
        previous: null,
      })
      await file.close()
    } finally {
      lock.release()
    }
  }

  /**
   * Locks and recovers the log. A torn tail is cut; what is returned is durable.
   *
   * @throws VoteLogError 'missing', 'foreign', 'newer', 'corrupt', 'locked' or 'io'
   */
  static async open(directory: string, options: OpenOptions): Promise<OpenedLog> {
    // Looked at before the lock, which would leave its file in a directory that is none of ours.
    if ((await listSegments(directory)).length === 0) throw missingLog(directory)
    const lock = DirectoryLock.take(directory)
    try {
      const recovered = await recoverLog(directory, options)
      return {
        log: new VoteLog(lock, recovered, options.segmentBytesMax ?? SEGMENT_BYTES_MAX),
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
   * @throws VoteLogError 'corrupt' when an old segment turns out to be damaged, or 'io'
   */
  async readCommitted(range: { from: Seq; upTo: Seq; bytesMax: number }): Promise<CommittedEntry[]> {
    await this.#writtenUpTo(this.#appended)
    return this.#reader.read(range)
  }

  /** What survives a power cut now: power loss is imitated by cutting the log there. */
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
      this.#addMark()
      this.#want('sync')
      await this.#running
      await this.#writer.close()
    } finally {
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
    } catch (error) {
      if (error instanceof VoteLogError) return error
      throw error
    }
    this.#settleWaiters()
    if (sync && this.#durable < upTo) {
      this.#durable = upTo
      this.onPersisted((upTo - this.#ordinalBase) as LogPosition)
    }
    return undefined
  }

  #fail(failure: VoteLogError): void {
    this.#failure = failure
    this.#wanted = 'nothing'
    this.#pending.clear()
    this.#settleWaiters()
    this.onFailure(failure)
  }

  #writtenUpTo(ordinal: number): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#waiters.push({ ordinal, done })
    if (ordinal > this.#written) this.#want('write')
    this.#settleWaiters()
    return done.promise
  }

  #settleWaiters(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (waiter.ordinal <= this.#written) waiter.done.resolve()
      else if (this.#failure !== undefined) waiter.done.reject(this.#failure)
      else this.#waiters.push(waiter)
    }
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

const existingLog = (directory: string): VoteLogError =>
  new VoteLogError(
    'exists',
    { file: directory },
    `${directory}: there is a vote log already, and it is never overwritten: a replica that forgets what it said can ` +
      'break the cluster. Choose another directory.',
  )
