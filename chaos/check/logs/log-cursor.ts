import type { Genesis } from '../../../protocol/config.ts'
import {
  type LogDamage,
  type ScannedRecord,
  type ScannedSegment,
  scanVoteLog,
} from '../../../replica/runtime/vote-log/offline-scan.ts'
import type { LogSource } from './log-sources.ts'
import { type LoggedRecord, loggedRecord } from './logged-record.ts'

export type LogVisitor = (record: LoggedRecord, source: LogSource) => void

/** Where reading one log is. Of its bytes it holds one segment. */
export class LogCursor {
  readonly source: LogSource
  readonly #segments: AsyncGenerator<ScannedSegment>
  readonly #genesis: Genesis
  readonly #onDamage: (damage: LogDamage, source: LogSource) => void
  #records: readonly ScannedRecord[] = []
  #file = ''
  #at = 0
  #highest = 0
  #count = 0
  #ended = false

  constructor(
    source: LogSource,
    args: {
      readonly genesis: Genesis
      readonly onDamage: (damage: LogDamage, source: LogSource) => void
    },
  ) {
    this.source = source
    this.#segments = scanVoteLog(source.directory)
    this.#genesis = args.genesis
    this.#onDamage = args.onDamage
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** Records read so far. */
  get count(): number {
    return this.#count
  }

  /** Reads on until a record is about `upTo` or above, or nothing more comes. */
  async readUntil(upTo: number, visit: LogVisitor): Promise<void> {
    while (this.#highest < upTo && !this.#ended) {
      const record = this.#records[this.#at]
      if (record === undefined) await this.#nextSegment()
      else {
        this.#at += 1
        this.#take(record, visit)
      }
    }
  }

  #take({ type, seq, payload, offset, ordinal }: ScannedRecord, visit: LogVisitor): void {
    const record = loggedRecord(type, payload)
    this.#count += 1
    if (record === undefined) {
      const why = `record ${ordinal} is not one of this format`
      return this.#onDamage({ file: this.#file, offset, why }, this.source)
    }
    if (seq > this.#highest) this.#highest = seq
    visit(record, this.source)
  }

  async #nextSegment(): Promise<void> {
    const next = await this.#read()
    this.#at = 0
    if (next === undefined) {
      this.#records = []
      this.#ended = true
      return
    }
    for (const damage of next.damage) this.#onDamage(damage, this.source)
    this.#file = next.file
    this.#records = this.#isOurs(next) ? next.records : []
  }

  async #read(): Promise<ScannedSegment | undefined> {
    try {
      const { done, value } = await this.#segments.next()
      return done === true ? undefined : value
    } catch (error) {
      const why = `it cannot be read: ${error instanceof Error ? error.message : String(error)}`
      this.#onDamage({ file: this.source.directory, offset: 0, why }, this.source)
      return undefined
    }
  }

  #isOurs({ file, header }: ScannedSegment): boolean {
    if (header === null) return false
    if (header.genesisDigest !== this.#genesis.digest) {
      this.#onDamage({ file, offset: 0, why: 'it is of another cluster: its genesis differs' }, this.source)
      return false
    }
    if (header.replica !== this.source.replica) {
      this.#onDamage({ file, offset: 0, why: `it is the vote log of replica ${header.replica}` }, this.source)
      return false
    }
    return true
  }
}
