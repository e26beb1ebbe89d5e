import type { LogPosition } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import type { Disk } from './disk.ts'

/** As in the vote log: how long a record that is no vote may wait for somebody else's fsync. */
const UNSYNCED_US_MAX = 10_000

/**
 * One process' writing side of the log: what a turn appended is flushed at its end; one write and fsync at a time
 * carries all that was appended meanwhile (group commit).
 */
export class SimVoteLog {
  readonly #disk: Disk
  readonly #schedule: (delayUs: number, work: () => void) => void
  readonly #syncUs: () => number
  readonly #onPersisted: (upTo: LogPosition) => void
  /** Ordinal of the last record before this process' first. */
  readonly #ordinalBase: number
  #pending: Buffer[] = []
  #underWay: Buffer[] = []
  #awaited = false
  #syncing = false
  #timerSet = false

  constructor(args: {
    disk: Disk
    schedule: (delayUs: number, work: () => void) => void
    syncUs: () => number
    onPersisted: (upTo: LogPosition) => void
  }) {
    this.#disk = args.disk
    this.#schedule = args.schedule
    this.#syncUs = args.syncUs
    this.#onPersisted = args.onPersisted
    this.#ordinalBase = args.disk.mark.ordinal
  }

  append(position: LogPosition, record: VoteRecord, sync: boolean): void {
    this.#pending.push(this.#disk.frame(record))
    if (this.#disk.mark.ordinal - this.#ordinalBase !== position) {
      throw new Error(`vote log position ${position} is out of order`)
    }
    if (sync) this.#awaited = true
  }

  flush(): void {
    if (this.#awaited) this.#sync()
    else if (this.#pending.length > 0 && !this.#timerSet) {
      this.#timerSet = true
      this.#schedule(UNSYNCED_US_MAX, () => {
        this.#timerSet = false
        this.#sync()
      })
    }
  }

  /** What a kill catches on its way to the operating system. The rest of the buffer dies with the process. */
  get underWay(): readonly Buffer[] {
    return this.#underWay
  }

  #sync(): void {
    if (this.#syncing || this.#pending.length === 0) return
    this.#syncing = true
    this.#awaited = false
    this.#underWay = this.#pending
    this.#pending = []
    const { ordinal } = this.#disk.mark
    this.#schedule(this.#syncUs(), () => {
      this.#disk.write(this.#underWay)
      this.#underWay = []
      this.#syncing = false
      this.#disk.syncTo({ bytes: this.#disk.mark.bytes, ordinal })
      this.#onPersisted((ordinal - this.#ordinalBase) as LogPosition)
      this.flush()
    })
  }
}
