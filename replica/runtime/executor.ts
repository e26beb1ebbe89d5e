import { type BatchAt, type Executed, type Store, StoreError } from '../../db/store.ts'
import type { AccountId, ReadValue } from '../../protocol/operations.ts'
import type { Seq } from '../../protocol/types.ts'
import type { DatabaseState } from '../core/event.ts'

/** Batches that one transaction takes at most. */
const RUN_BATCHES_MAX = 32
const RECONNECT_MS_MIN = 50
const RECONNECT_MS_MAX = 2_000

export type ExecutorEvents = {
  readonly onExecuted: (executed: Executed) => void
  readonly onConnected: (database: DatabaseState) => void
  /** The database went away, and is being reached again. */
  readonly onDisconnected: (error: StoreError) => void
  /** The replica must stop. */
  readonly onFatal: (error: Error) => void
}

/**
 * Hands batches to the database, one transaction at a time: those that wait meanwhile form the next run, which never
 * crosses a multiple of K [D3] [D4]. After a lost connection it says where the database stands, and starts empty.
 */
export class Executor {
  readonly #store: Store
  readonly #checkpointInterval: number
  readonly #events: ExecutorEvents
  #queue: BatchAt[] = []
  /** What the database takes next: what the core handed out before it heard of a new connection comes again. */
  #nextSeq: Seq
  #running = false
  #connected = true
  #closed = false
  /** Ends the wait between two attempts to connect. */
  #wake: () => void = () => {}

  constructor(args: { store: Store; lastExecuted: Seq; checkpointInterval: number; events: ExecutorEvents }) {
    this.#store = args.store
    this.#nextSeq = (args.lastExecuted + 1) as Seq
    this.#checkpointInterval = args.checkpointInterval
    this.#events = args.events
  }

  get connected(): boolean {
    return this.#connected
  }

  execute(batch: BatchAt): void {
    if (!this.#connected || batch.seq !== this.#nextSeq) return
    this.#nextSeq = (batch.seq + 1) as Seq
    this.#queue.push(batch)
    if (!this.#running) void this.#run()
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#queue.length > 0 && !this.#closed) {
      const run = this.#nextRun()
      const durable = (run.at(-1)?.seq ?? 0) % this.#checkpointInterval === 0
      try {
        const executed = await this.#store.execute(run, { durable })
        for (const one of executed) this.#events.onExecuted(one)
      } catch (error) {
        await this.#onError(error)
      }
    }
    this.#running = false
  }

  /** Up to the next multiple of K, whose transaction is durable before its CHECKPOINT. */
  #nextRun(): BatchAt[] {
    const boundary = this.#queue.findIndex(({ seq }) => seq % this.#checkpointInterval === 0)
    const length = Math.min(RUN_BATCHES_MAX, boundary === -1 ? this.#queue.length : boundary + 1)
    return this.#queue.splice(0, length)
  }

  async #onError(error: unknown): Promise<void> {
    if (this.#closed) return
    if (!(error instanceof StoreError) || !isTransient(error)) {
      this.#closed = true
      return this.#events.onFatal(error instanceof Error ? error : new Error(String(error)))
    }
    this.#connected = false
    this.#queue = []
    this.#events.onDisconnected(error)
    await this.#reconnect()
  }

  async #reconnect(): Promise<void> {
    for (let waitMs = RECONNECT_MS_MIN; !this.#closed; waitMs = Math.min(2 * waitMs, RECONNECT_MS_MAX)) {
      try {
        const database = await readDatabase(this.#store, this.#checkpointInterval)
        this.#connected = true
        this.#nextSeq = (database.lastExecuted + 1) as Seq
        return this.#events.onConnected(database)
      } catch (error) {
        if (!(error instanceof StoreError) || !isTransient(error)) {
          this.#closed = true
          return this.#events.onFatal(error instanceof Error ? error : new Error(String(error)))
        }
      }
      await this.#wait(waitMs)
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Undefined when the database cannot be asked now: the client asks others, or again. */
  async read(accounts: readonly AccountId[], atLeast: Seq): Promise<readonly ReadValue[] | undefined> {
    if (!this.#connected) return undefined
    try {
      const { lastExecuted, values } = await this.#store.read(accounts)
      return lastExecuted >= atLeast ? values : undefined
    } catch (error) {
      if (!(error instanceof StoreError) || !isTransient(error)) throw error
      // An idle replica learns only so that its database is gone.
      if (this.#connected && !this.#running) void this.#onError(error)
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    await this.#store.close()
  }
}

const isTransient = ({ code }: StoreError): boolean => code === 'unavailable' || code === 'reconcile'

/** Connects, and reads what the core compares with its log. @throws StoreError */
export async function readDatabase(store: Store, checkpointInterval: number): Promise<DatabaseState> {
  const { lastExecuted, chain, lanes } = await store.connect()
  const boundary = (lastExecuted - (lastExecuted % checkpointInterval)) as Seq
  const last = lastExecuted === 0 ? undefined : await store.chainAt(lastExecuted)
  const checkpoint = boundary === 0 ? undefined : await store.chainAt(boundary)
  return {
    lastExecuted,
    chain,
    batchDigest: last?.batchDigest ?? null,
    checkpoint: checkpoint === undefined ? null : { seq: boundary, chain: checkpoint.chain },
    lanes,
  }
}
