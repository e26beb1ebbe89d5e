import type { BatchAt, Executed } from '../../db/store.ts'
import type { AccountId, ReadValue } from '../../protocol/operations.ts'
import type { Seq } from '../../protocol/types.ts'
import type { DatabaseState } from '../../replica/core/event.ts'
import type { Database } from './database.ts'
import type { World } from './world.ts'

/** As in production: batches of one transaction, and the pause between two attempts to connect. */
const RUN_BATCHES_MAX = 32
const RECONNECT_US = 50_000

type Hooks = {
  /** Runs `work` later in this process, unless it is killed meanwhile. */
  readonly schedule: (delayUs: number, work: () => void) => void
  /** Committed, whether the process gets to know or not. */
  readonly onCommitted: (run: readonly BatchAt[], executed: readonly Executed[]) => void
  readonly onExecuted: (executed: Executed) => void
  readonly onConnected: (state: DatabaseState) => void
  /** The database itself, as the store has it or sabotaged. */
  readonly commit: (run: readonly BatchAt[], options: { readonly durable: boolean }) => readonly Executed[]
}

/** One process' side of its database: one transaction at a time, never across a multiple of K [D3] [D4]. */
export class SimExecutor {
  readonly #world: World
  readonly #database: Database
  readonly #hooks: Hooks
  #queue: BatchAt[] = []
  #running: readonly BatchAt[] | null = null
  #connected = true
  /** Counts connections: what an earlier one started reports to nobody. */
  #connection = 0

  constructor(world: World, database: Database, hooks: Hooks) {
    this.#world = world
    this.#database = database
    this.#hooks = hooks
  }

  execute(batch: BatchAt): void {
    // Handed out again after 'database-connected'.
    if (!this.#connected) return
    this.#queue.push(batch)
    if (this.#running === null) this.#start()
  }

  #start(): void {
    const interval = this.#world.plan.cluster.checkpointInterval
    const boundary = this.#queue.findIndex(({ seq }) => seq % interval === 0)
    const run = this.#queue.splice(
      0,
      Math.min(RUN_BATCHES_MAX, boundary === -1 ? this.#queue.length : boundary + 1),
    )
    if (run.length === 0) return
    this.#running = run
    const connection = this.#connection
    const { runUs, batchUs } = this.#world.plan.database
    const delayUs = (runUs + run.length * batchUs) * this.#world.random.between(0.7, 2)
    this.#hooks.schedule(delayUs, () => {
      if (connection !== this.#connection) return
      this.#running = null
      for (const executed of this.#commit(run)) this.#hooks.onExecuted(executed)
      if (this.#running === null) this.#start()
    })
  }

  #commit(run: readonly BatchAt[]): readonly Executed[] {
    const interval = this.#world.plan.cluster.checkpointInterval
    const durable = (run.at(-1)?.seq ?? 0) % interval === 0
    const executed = this.#hooks.commit(run, { durable })
    this.#hooks.onCommitted(run, executed)
    return executed
  }

  /** The connection breaks, or the process dies: a transaction under way may or may not have committed. */
  disconnect(): void {
    if (!this.#connected) return
    this.#connected = false
    this.#connection += 1
    if (this.#running !== null && this.#database.up && this.#world.random.chance(0.5)) {
      this.#world.happenings.count('commit of unknown outcome')
      this.#commit(this.#running)
    }
    this.#running = null
    this.#queue = []
    this.#reconnect()
  }

  /** Tries until the server is there. */
  #reconnect(): void {
    this.#hooks.schedule(RECONNECT_US * this.#world.random.between(0.5, 1.5), () => {
      if (!this.#database.up) return this.#reconnect()
      this.#connected = true
      this.#hooks.onConnected(this.#database.connect())
    })
  }

  /** Undefined when the database cannot show a state that late now: the client asks again. */
  read(
    accounts: readonly AccountId[],
    atLeast: Seq,
    answer: (
      state: { readonly lastExecuted: Seq; readonly values: readonly ReadValue[] } | undefined,
    ) => void,
  ): void {
    const connection = this.#connection
    const delayUs = this.#world.plan.database.readUs * this.#world.random.between(0.7, 2)
    this.#hooks.schedule(delayUs, () => {
      if (!this.#connected || connection !== this.#connection) return answer(undefined)
      const state = this.#database.store.readSync(accounts)
      answer(state.lastExecuted >= atLeast ? state : undefined)
    })
  }
}
