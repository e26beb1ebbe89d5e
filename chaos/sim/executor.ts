import { type BatchAt, type Executed, StoreError } from '../../db/store.ts'
import type { AccountId, ReadValue } from '../../protocol/operations.ts'
import { assertNever, type Digest, type Seq } from '../../protocol/types.ts'
import type { Event } from '../../replica/core/event.ts'
import type { StateEffect } from '../../replica/runtime/engine.ts'
import type { FailpointHook } from '../../replica/runtime/failpoints.ts'
import type { Database } from './database.ts'
import type { World } from './world.ts'

/** As in production: batches of one transaction, and the pause between two attempts to connect. */
const RUN_BATCHES_MAX = 32
const RECONNECT_US = 50_000
/** [CP6] Of the state that one scrub reads. */
const SCRUB_SHARE = 0.25

type Hooks = {
  /** Runs `work` later in this process, unless it is killed meanwhile. */
  readonly schedule: (delayUs: number, work: () => void) => void
  /** Committed, whether the process gets to know or not. */
  readonly onCommitted: (run: readonly BatchAt[], executed: readonly Executed[]) => void
  /** [CP3] A state is held; the core hears of it later. */
  readonly onHeld: (state: { readonly seq: Seq; readonly stateRoot: Digest; readonly chain: Digest }) => void
  readonly dispatch: (events: readonly Event[]) => void
  /** The database itself, as the store has it or sabotaged. */
  readonly commit: (run: readonly BatchAt[], options: { readonly durable: boolean }) => readonly Executed[]
  readonly failpoint: FailpointHook
}

/** A transaction, a hold, or a step of a transfer: the database does one at a time. */
type Job = { readonly delayUs: number; readonly work: () => void }

/** What it takes of a simulation. */
type Surroundings = Pick<World, 'plan' | 'random' | 'happenings'>

/**
 * One process' side of its database: one transaction at a time, never across a multiple of K [D3] [D4]; states held
 * between them [CP3]; transfers, during which nothing is executed [CP4].
 */
export class SimExecutor {
  readonly #world: Surroundings
  readonly #database: Database
  readonly #hooks: Hooks
  #queue: BatchAt[] = []
  #jobs: Job[] = []
  #running: readonly BatchAt[] | null = null
  #busy = false
  #connected = true
  /** A transfer is under way, or rows do not match: what the core hands out is dropped until that is over. */
  #suspended = false
  /** What the database takes next: what the core handed out before a reset comes again. */
  #nextSeq: number
  /** Counts connections: what an earlier one started reports to nobody. */
  #connection = 0

  constructor(world: Surroundings, database: Database, hooks: Hooks) {
    this.#world = world
    this.#database = database
    this.#hooks = hooks
    this.#nextSeq = database.store.position.lastExecuted + 1
  }

  start(): void {
    this.#holdAtBoundary()
    this.#scrubSometimes()
  }

  execute(batch: BatchAt): void {
    if (!this.#connected || this.#suspended || batch.seq !== this.#nextSeq) return
    this.#nextSeq += 1
    this.#queue.push(batch)
    this.#goOn()
  }

  /** [CP3] [CP4] In the order in which the core wants them; reads of held states go beside. */
  state(effect: StateEffect): void {
    if (!this.#connected) return
    const { store } = this.#database
    const { runUs, stepUs } = this.#world.plan.database
    switch (effect.type) {
      case 'take-checkpoint':
        return this.#enqueue(runUs, () => this.#hold())
      case 'keep-checkpoints':
        return store.keepCheckpoints(effect.seqs)
      case 'read-partitions':
        return this.#readPartitions(effect)
      case 'read-history':
        return this.#beside(() => {
          const { reader, upTo, bytesMax } = effect
          return { type: 'history-read', reader, upTo, entries: store.readHistorySync({ upTo, bytesMax }) }
        })
      case 'begin-transfer':
        return this.#begin(effect)
      case 'stage-partition':
        return this.#enqueue(stepUs, () => {
          const { partition, node } = effect
          const wants = store.stagePartitionSync(partition, node)
          this.#hooks.dispatch([{ type: 'partition-staged', partition, wants }])
        })
      case 'stage-history':
        return this.#enqueue(stepUs, () => {
          const isComplete = store.stageHistorySync(effect.entries)
          const lowest = effect.entries.at(-1)?.seq ?? (0 as Seq)
          this.#hooks.dispatch([{ type: 'history-staged', lowest, isComplete }])
        })
      case 'install-transfer':
        return this.#enqueue(runUs, () => this.#install())
      case 'cancel-transfer':
        this.#enqueue(stepUs, () => store.cancelTransferSync())
        return this.#resume()
      default:
        return assertNever(effect)
    }
  }

  #begin({ seq, stateRoot, chain, rescan }: Extract<StateEffect, { type: 'begin-transfer' }>): void {
    this.#suspended = true
    this.#queue = []
    this.#enqueue(this.#world.plan.database.stepUs, () => {
      const begun = this.#database.store.beginTransferSync({ seq, stateRoot, chain }, { rescan })
      this.#hooks.dispatch([{ type: 'transfer-begun', seq, ...begun }])
    })
  }

  #install(): void {
    const { failpoint, dispatch } = this.#hooks
    const connection = this.#connection
    failpoint?.('before-install')
    if (connection !== this.#connection) return
    const { repaired, ...connected } = this.#database.store.installTransferSync()
    failpoint?.('after-install')
    if (connection !== this.#connection) return
    const database = this.#database.describe(connected)
    this.#resume()
    this.#holdAtBoundary()
    if (connection === this.#connection) dispatch([{ type: 'state-installed', database, repaired }])
  }

  /** From here on batches are taken again, behind a run that is under way. */
  #resume(): void {
    this.#suspended = false
    this.#nextSeq = (this.#running?.at(-1)?.seq ?? this.#database.store.position.lastExecuted) + 1
  }

  #enqueue(delayUs: number, work: () => void): void {
    this.#jobs.push({ delayUs, work })
    this.#goOn()
  }

  #goOn(): void {
    if (this.#busy || !this.#connected) return
    const job = this.#jobs.shift() ?? this.#nextRun()
    if (job === undefined) return
    this.#busy = true
    const connection = this.#connection
    this.#hooks.schedule(job.delayUs * this.#world.random.between(0.7, 2), () => {
      if (connection !== this.#connection) return
      this.#busy = false
      job.work()
      if (connection === this.#connection) this.#goOn()
    })
  }

  #nextRun(): Job | undefined {
    const interval = this.#world.plan.cluster.checkpointInterval
    const boundary = this.#queue.findIndex(({ seq }) => seq % interval === 0)
    const length = Math.min(RUN_BATCHES_MAX, boundary === -1 ? this.#queue.length : boundary + 1)
    const run = this.#queue.splice(0, length)
    if (run.length === 0) return undefined
    this.#running = run
    const { runUs, batchUs } = this.#world.plan.database
    return { delayUs: runUs + run.length * batchUs, work: () => this.#finish(run) }
  }

  #finish(run: readonly BatchAt[]): void {
    const { failpoint, dispatch } = this.#hooks
    const connection = this.#connection
    failpoint?.('before-commit')
    if (connection !== this.#connection) return
    this.#running = null
    const executed = this.#commit(run)
    failpoint?.('after-commit')
    if (connection !== this.#connection) return
    if (executed.length > 0) this.#holdAtBoundary()
    if (connection !== this.#connection) return
    for (const { seq, chain, lanes, incarnations } of executed) {
      dispatch([{ type: 'executed', seq, chain, lanes, incarnations }])
    }
  }

  /** Empty when a row was not as it was left [CP6]: nothing is executed until it is repaired. */
  #commit(run: readonly BatchAt[]): readonly Executed[] {
    const interval = this.#world.plan.cluster.checkpointInterval
    const durable = (run.at(-1)?.seq ?? 0) % interval === 0
    try {
      const executed = this.#hooks.commit(run, { durable })
      this.#hooks.onCommitted(run, executed)
      return executed
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'tampered') throw error
      this.#world.happenings.count('tampered row met by a write')
      this.#suspended = true
      this.#queue = []
      this.#hooks.dispatch([{ type: 'rows-mismatched', rows: error.rows }])
      return []
    }
  }

  #holdAtBoundary(): void {
    const { lastExecuted } = this.#database.store.position
    if (lastExecuted > 0 && lastExecuted % this.#world.plan.cluster.checkpointInterval === 0) this.#hold()
  }

  /** [CP3] Held at once; its root is known when execution has gone on for a while. */
  #hold(): void {
    const { failpoint, schedule, dispatch } = this.#hooks
    const connection = this.#connection
    failpoint?.('before-checkpoint')
    if (connection !== this.#connection) return
    const { lastExecuted: seq, chain, stateRoot } = this.#database.store.takeCheckpointSync()
    this.#hooks.onHeld({ seq, stateRoot, chain })
    failpoint?.('after-checkpoint')
    if (connection !== this.#connection) return
    schedule(this.#world.plan.database.rootUs * this.#world.random.between(0.7, 2), () => {
      if (connection === this.#connection) dispatch([{ type: 'checkpoint-taken', seq, stateRoot, chain }])
    })
    this.#scrub()
  }

  /** [CP6] */
  #scrub(): void {
    const rows = this.#database.store.scrubSync({ share: SCRUB_SHARE })
    if (rows.length === 0) return
    this.#world.happenings.count('tampered row found by a scrub')
    this.#hooks.dispatch([{ type: 'rows-mismatched', rows }])
  }

  #scrubSometimes(): void {
    this.#hooks.schedule(this.#world.plan.cluster.scrubIntervalMs * 1000, () => {
      if (this.#connected && !this.#busy) this.#scrub()
      this.#scrubSometimes()
    })
  }

  #readPartitions({
    reader,
    seq,
    partitions,
    bytesMax,
  }: Extract<StateEffect, { type: 'read-partitions' }>): void {
    this.#beside(() => {
      const nodes = this.#database.store.readPartitionsSync(seq, { partitions, bytesMax }) ?? null
      return { type: 'partitions-read', reader, seq, nodes }
    })
  }

  #beside(work: () => Event): void {
    const connection = this.#connection
    this.#hooks.schedule(this.#world.plan.database.readUs * this.#world.random.between(0.7, 2), () => {
      if (connection === this.#connection) this.#hooks.dispatch([work()])
    })
  }

  /** The connection breaks, or the process dies: a transaction under way may or may not have committed. */
  disconnect(): void {
    if (!this.#connected) return
    this.#connected = false
    this.#connection += 1
    const running = this.#running
    this.#running = null
    this.#queue = []
    this.#jobs = []
    this.#busy = false
    this.#suspended = false
    if (running !== null && this.#database.up && this.#world.random.chance(0.5)) {
      this.#world.happenings.count('commit of unknown outcome')
      this.#commit(running)
    }
    this.#database.store.keepCheckpoints([])
    this.#reconnect()
  }

  /** Tries until the server is there. */
  #reconnect(): void {
    this.#hooks.schedule(RECONNECT_US * this.#world.random.between(0.5, 1.5), () => {
      if (!this.#database.up) return this.#reconnect()
      const database = this.#database.connect()
      this.#connected = true
      const connection = this.#connection
      this.#resume()
      this.#holdAtBoundary()
      if (connection !== this.#connection) return
      this.#hooks.dispatch([{ type: 'checkpoints-lost' }, { type: 'database-connected', database }])
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
