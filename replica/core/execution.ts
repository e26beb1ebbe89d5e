import type { Batch } from '../../protocol/messages.ts'
import type { Digest, LogPosition, Seq } from '../../protocol/types.ts'
import type { CoreConfig } from './config.ts'
import type { Outbox } from './outbox.ts'
import type { CommittedEntry } from './vote-record.ts'

/** Bodies that one redo read brings into memory. */
const REDO_BYTES_MAX = 1_000_000
/** Batches handed to the database and not reported back, before a redo reads more. */
const REDO_AHEAD_MAX = 256

type Ready = { readonly batch: Batch; readonly at: LogPosition }

/**
 * [NC5] Hands committed batches to the database in sequence order. A batch goes out only when its record is durable
 * here, so that no state can be seen that this replica could forget [D4]. What the database lacks and the vote log
 * has is redone from there.
 */
export class Execution {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #committed = new Map<Seq, Ready>()
  /** The last batch that the database reported visible. */
  #executed: Seq
  #chain: Digest
  /** The last batch handed to the database. */
  #issued: Seq
  /** The last seq that every seq since `issued` is committed up to. */
  #frontier: Seq
  /** Up to here the vote log is read before peers are asked. */
  #redoUpTo: Seq
  /** While state is fetched nothing is handed out [CP4]. */
  #isPaused = false
  /** The redo read under way; stale when the database went back behind its start meanwhile. */
  #reading: 'current' | 'stale' | null = null

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    executed: { readonly lastExecuted: Seq; readonly chain: Digest }
    /** The highest seq that the vote log marks committed. */
    committedInLog: Seq
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#executed = args.executed.lastExecuted
    this.#chain = args.executed.chain
    this.#issued = this.#executed
    this.#frontier = this.#executed
    this.#redoUpTo = args.committedInLog
  }

  get lastExecuted(): Seq {
    return this.#executed
  }

  get chain(): Digest {
    return this.#chain
  }

  /** The last batch handed to the database, which may show it before it reports it. */
  get issued(): Seq {
    return this.#issued
  }

  get frontier(): Seq {
    return this.#frontier
  }

  get redoing(): boolean {
    return this.#redoUpTo > this.#frontier
  }

  /** Batches committed and not yet visible. */
  get backlog(): number {
    return this.#committed.size + (this.#issued - this.#executed)
  }

  has(seq: Seq): boolean {
    return seq <= this.#issued || this.#committed.has(seq)
  }

  /** `seq` is committed as `batch`; execution waits until the record at `at` is durable. */
  commit(seq: Seq, ready: Ready): void {
    if (this.has(seq)) return
    this.#committed.set(seq, ready)
    this.#moveFrontier()
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  /** Hands out what is ready, and reads on in the vote log while there is something to redo. */
  advance(): void {
    if (this.#isPaused) return
    for (;;) {
      const next = (this.#issued + 1) as Seq
      const ready = this.#committed.get(next)
      if (ready === undefined || ready.at > this.#outbox.durable) break
      this.#committed.delete(next)
      this.#issued = next
      this.#outbox.effect({ type: 'execute', seq: next, batch: ready.batch })
    }
    this.#redo()
  }

  #redo(): void {
    if (this.#reading !== null || !this.redoing || this.#issued - this.#executed > REDO_AHEAD_MAX) return
    this.#reading = 'current'
    this.#outbox.effect({
      type: 'read-committed',
      reader: this.#config.self,
      after: this.#frontier,
      upTo: this.#redoUpTo,
      bytesMax: REDO_BYTES_MAX,
    })
  }

  /** Batches read back from this replica's own log: trusted, and durable already. */
  onRedo(entries: readonly CommittedEntry[]): void {
    const stale = this.#reading === 'stale'
    this.#reading = null
    // What it found leaves a gap: the log is read again from where the database is now.
    if (stale) return
    const before = this.#frontier
    for (const { seq, batch, digest } of entries) {
      this.commit(seq, { batch, at: 0 as LogPosition })
      if (seq > before) this.#outbox.observe({ kind: 'committed', seq, digest, how: 'log' })
    }
    // The log's unsynced end was lost, or a mark never had its body: peers have it.
    if (entries.length === 0) this.#redoUpTo = before
  }

  /** @throws when the database skipped one: ours. */
  onExecuted(seq: Seq, chain: Digest): void {
    if (seq !== this.#executed + 1) throw new Error(`executed ${seq} after ${this.#executed}`)
    this.#executed = seq
    this.#chain = chain
    // A run that was in the database when a transfer was cancelled, which had taken it for not begun.
    if (seq > this.#issued) {
      this.#issued = seq
      this.#committed.delete(seq)
      this.#frontier = Math.max(this.#frontier, seq) as Seq
      this.#moveFrontier()
    }
    this.#outbox.observe({ kind: 'executed', seq, chain })
  }

  /** A new connection: what the database has counts; what it lost is handed out again from the log [D4]. */
  reset(database: { readonly lastExecuted: Seq; readonly chain: Digest }): void {
    this.#redoUpTo = Math.max(this.#redoUpTo, this.#issued, this.#frontier) as Seq
    if (this.#reading !== null) this.#reading = 'stale'
    this.#executed = database.lastExecuted
    this.#chain = database.chain
    this.#issued = database.lastExecuted
    this.#frontier = database.lastExecuted
    for (const seq of this.#committed.keys()) if (seq <= this.#issued) this.#committed.delete(seq)
    this.#moveFrontier()
  }

  #moveFrontier(): void {
    while (this.#committed.has((this.#frontier + 1) as Seq)) this.#frontier = (this.#frontier + 1) as Seq
  }
}
