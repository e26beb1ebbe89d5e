import { ProvisionError } from '../../db/provision/types.ts'
import { type BatchAt, type Connected, type RowMismatch, type Store, StoreError } from '../../db/store.ts'
import type { AccountId, ReadValue } from '../../protocol/operations.ts'
import type { Seq } from '../../protocol/types.ts'
import type { DatabaseState, Event } from '../core/event.ts'
import { describeDatabase, type Intervals, readDatabase } from './database-state.ts'
import type { FailpointHook } from './failpoints.ts'

/** Batches that one transaction takes at most. */
const RUN_BATCHES_MAX = 32
const RECONNECT_MS_MIN = 50
const RECONNECT_MS_MAX = 2_000

export type ExecutorEvents = {
  readonly onEvent: (event: Event) => void
  /** The database went away, and is being reached again. */
  readonly onDisconnected: (error: StoreError) => void
  /** The replica must stop. */
  readonly onFatal: (error: Error) => void
}

/** What the database does one after the other. */
type Job =
  | { readonly kind: 'batch'; readonly batch: BatchAt }
  | { readonly kind: 'work'; readonly work: () => Promise<void> }

/**
 * Hands batches to the database, one transaction at a time: those that wait meanwhile form the next run, which never
 * crosses a multiple of K [D3] [D4]; the state at each multiple of K is held before the next run starts [CP3]. Other
 * work waits its turn between runs. After a lost connection it says where the database stands, and starts empty.
 */
export class Executor {
  readonly #store: Store
  readonly #intervals: Intervals
  readonly #events: ExecutorEvents
  readonly #failpoint: FailpointHook
  readonly #reopen: () => Promise<void>
  #jobs: Job[] = []
  /** The last batch that the database has, and the last that it is being given. */
  #executed: Seq
  #taken: Seq
  /** What the database takes next: what the core handed out before it heard of a new connection comes again. */
  #nextSeq: Seq
  #running = false
  #connected = true
  #closed = false
  /** [CP4] A state is being fetched. */
  #transferring = false
  /** [CP6] What would be computed from these rows would be wrong: nothing is, until a state was installed. */
  #tampered = false
  #retryMs = 0
  /** Ends the wait between two attempts to connect. */
  #wake: () => void = () => {}

  constructor(args: {
    readonly store: Store
    readonly lastExecuted: Seq
    readonly intervals: Intervals
    readonly events: ExecutorEvents
    /** Sees to it that there is a server to connect to. @throws ProvisionError */
    readonly reopen: () => Promise<void>
    readonly failpoint?: FailpointHook
  }) {
    this.#store = args.store
    this.#executed = args.lastExecuted
    this.#taken = args.lastExecuted
    this.#nextSeq = (args.lastExecuted + 1) as Seq
    this.#intervals = args.intervals
    this.#events = args.events
    this.#reopen = args.reopen
    this.#failpoint = args.failpoint
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Holds the state that the database is at, where that is one to be held. */
  start(): void {
    this.#enqueue({ kind: 'work', work: () => this.holdIfDue() })
  }

  execute(batch: BatchAt): void {
    if (!this.#connected || this.#transferring || this.#tampered || batch.seq !== this.#nextSeq) return
    this.#nextSeq = (batch.seq + 1) as Seq
    this.#enqueue({ kind: 'batch', batch })
  }

  /**
   * In turn, while nothing is executed; not at all when the connection is lost before. What it rejects with is
   * treated as a failure to execute is.
   */
  betweenRuns(work: () => Promise<void>): void {
    if (this.#connected) this.#enqueue({ kind: 'work', work })
  }

  /** [CP4] Until `resume` or `installed` nothing is executed; what waits is dropped, a run under way ends. */
  suspend(): void {
    this.#transferring = true
    this.#dropBatches()
  }

  #dropBatches(): void {
    this.#jobs = this.#jobs.filter(({ kind }) => kind !== 'batch')
  }

  /** Goes on behind what the database has. */
  resume(): void {
    this.#transferring = false
    this.#nextSeq = (this.#taken + 1) as Seq
  }

  /** Goes on behind an installed state. @returns what the core compares with its log */
  async installed(connected: Connected): Promise<DatabaseState> {
    const database = await describeDatabase(this.#store, connected, this.#intervals)
    this.#moveTo(database.lastExecuted)
    this.#tampered = false
    this.#transferring = false
    return database
  }

  #moveTo(lastExecuted: Seq): void {
    this.#executed = lastExecuted
    this.#taken = lastExecuted
    this.#nextSeq = (lastExecuted + 1) as Seq
  }

  /** [CP3] The state after the last run: held once this resolves; its root is reported when it is known. */
  async hold(): Promise<void> {
    this.#failpoint?.('before-checkpoint')
    const { lastExecuted: seq, chain, stateRoot } = await this.#store.takeCheckpoint()
    this.#failpoint?.('after-checkpoint')
    stateRoot.then(
      (root) => {
        if (!this.#closed) this.#events.onEvent({ type: 'checkpoint-taken', seq, stateRoot: root, chain })
      },
      (error: unknown) => this.#onHeldLost(error),
    )
  }

  /** Every multiple of K is held without being asked for. */
  holdIfDue(): Promise<void> {
    const isDue = this.#executed > 0 && this.#executed % this.#intervals.checkpointInterval === 0
    return isDue ? this.hold() : Promise.resolve()
  }

  /** A held state that is lost before its root is known; its connection broke, and no other need have. */
  #onHeldLost(error: unknown): void {
    if (error instanceof StoreError && isTransient(error)) this.#events.onEvent({ type: 'checkpoints-lost' })
    else this.#die(error)
  }

  #enqueue(job: Job): void {
    this.#jobs.push(job)
    if (!this.#running) void this.#run()
  }

  async #run(): Promise<void> {
    this.#running = true
    for (let job = this.#jobs[0]; job !== undefined && !this.#closed; job = this.#jobs[0]) {
      try {
        if (job.kind === 'batch') await this.#execute(this.#nextRun())
        else {
          this.#jobs.shift()
          await job.work()
        }
      } catch (error) {
        await this.#onError(error)
      }
    }
    this.#running = false
  }

  async #execute(run: readonly BatchAt[]): Promise<void> {
    this.#taken = run.at(-1)?.seq ?? this.#taken
    const durable = this.#taken % this.#intervals.checkpointInterval === 0
    this.#failpoint?.('before-commit')
    const executed = await this.#store.execute(run, { durable })
    this.#failpoint?.('after-commit')
    this.#retryMs = 0
    this.#executed = this.#taken
    for (const { seq, chain, lanes, incarnations } of executed) {
      this.#events.onEvent({ type: 'executed', seq, chain, lanes, incarnations })
    }
    await this.holdIfDue()
  }

  /** Up to the next multiple of K, whose transaction is durable before its CHECKPOINT. */
  #nextRun(): BatchAt[] {
    const run: BatchAt[] = []
    for (const job of this.#jobs) {
      if (job.kind !== 'batch' || run.length === RUN_BATCHES_MAX) break
      run.push(job.batch)
      if (job.batch.seq % this.#intervals.checkpointInterval === 0) break
    }
    this.#jobs.splice(0, run.length)
    return run
  }

  async #onError(error: unknown): Promise<void> {
    if (this.#closed) return
    if (!(error instanceof StoreError)) return this.#die(error)
    if (error.code === 'tampered') return this.#onTampered(error.rows)
    if (!isTransient(error)) return this.#die(error)
    this.#connected = false
    this.#jobs = []
    this.#events.onDisconnected(error)
    this.#events.onEvent({ type: 'checkpoints-lost' })
    await this.#reconnect()
  }

  /** Nothing of the run was executed, and the connection stands. */
  #onTampered(rows: readonly RowMismatch[]): void {
    this.#tampered = true
    this.#taken = this.#executed
    this.#dropBatches()
    this.#events.onEvent({ type: 'rows-mismatched', rows })
  }

  #die(error: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#events.onFatal(error instanceof Error ? error : new Error(String(error)))
  }

  /** At once after an execution that went well, later and later where none did between two attempts. */
  async #reconnect(): Promise<void> {
    while (!this.#closed) {
      if (this.#retryMs > 0) await this.#wait(this.#retryMs)
      this.#retryMs = Math.min(Math.max(2 * this.#retryMs, RECONNECT_MS_MIN), RECONNECT_MS_MAX)
      if (this.#closed) return
      try {
        await this.#reopen()
        if (this.#closed) return
        return this.#onConnected(await readDatabase(this.#store, this.#intervals))
      } catch (error) {
        if (!mayPass(error)) return this.#die(error)
      }
    }
  }

  #onConnected(database: DatabaseState): void {
    this.#connected = true
    this.#transferring = false
    this.#moveTo(database.lastExecuted)
    this.#events.onEvent({ type: 'database-connected', database })
    this.start()
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
    const state = await this.beside((store) => store.read(accounts))
    return state !== undefined && state.lastExecuted >= atLeast ? state.values : undefined
  }

  /** A question that waits for no run. Undefined when the database cannot be asked now. */
  async beside<T>(ask: (store: Store) => Promise<T>): Promise<T | undefined> {
    if (!this.#connected) return undefined
    try {
      return await ask(this.#store)
    } catch (error) {
      if (!(error instanceof StoreError) || !isTransient(error)) throw error
      // An idle replica learns only so that its database is gone.
      this.betweenRuns(() => Promise.reject(error))
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

/** A server that does not start now may start once there is room on its disk again, or its port is free. */
const mayPass = (error: unknown): boolean =>
  error instanceof ProvisionError || (error instanceof StoreError && isTransient(error))
