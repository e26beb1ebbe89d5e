import type { Message } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import { assertNever } from '../../protocol/types.ts'
import type { Answers } from './answers.ts'
import type { Batcher } from './batcher.ts'
import type { CatchUp } from './catch-up.ts'
import type { Checkpoints } from './checkpoint.ts'
import { type ClientTable, replyTo } from './client-table.ts'
import type { CoreConfig, CoreCrypto } from './config.ts'
import type { CheckId, Effect } from './effect.ts'
import type { DatabaseState, Event, LaneEntry } from './event.ts'
import type { Execution } from './execution.ts'
import { checkInvariants } from './invariants.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'
import type { Reads } from './reads.ts'
import { contradictionNow, recoverParts } from './recovery.ts'
import type { VoteRecord } from './vote-record.ts'

export type CoreParts = {
  readonly config: CoreConfig
  readonly outbox: Outbox
  readonly log: SlotLog
  readonly table: ClientTable
  readonly execution: Execution
  readonly normalCase: NormalCase
  readonly batcher: Batcher
  readonly checkpoints: Checkpoints
  readonly answers: Answers
  readonly catchUp: CatchUp
  readonly reads: Reads
}

/**
 * One replica's protocol: an event in, effects out. No I/O, no clock, no randomness: the same events give the same
 * effects. The simulator and the runtime drive this same class.
 */
export class ReplicaCore {
  readonly #parts: CoreParts

  private constructor(parts: CoreParts) {
    this.#parts = parts
  }

  /**
   * Takes up where the vote log and the database stopped [D1] [D4]. `votes`: the newest stable record and everything
   * above it, in order. The first step must be 'start'.
   */
  static recover(args: {
    config: CoreConfig
    crypto: CoreCrypto
    votes: readonly VoteRecord[]
    database: DatabaseState
  }): ReplicaCore {
    return new ReplicaCore(recoverParts(args))
  }

  /** For tests and status: what an outsider may know. */
  get position() {
    const { log, execution, normalCase, batcher } = this.#parts
    return {
      view: normalCase.view,
      primary: normalCase.primary,
      lowWaterMark: log.lowWaterMark,
      lastExecuted: execution.lastExecuted,
      chain: execution.chain,
      frontier: execution.frontier,
      nextSeq: batcher.nextSeq,
      slots: log.size,
    }
  }

  /** `nowMs` never goes back within a process. */
  step(event: Event, nowMs: number): Effect[] {
    this.#route(event, nowMs)
    const { batcher, execution, outbox } = this.#parts
    execution.advance()
    batcher.propose()
    checkInvariants(this.#parts)
    return outbox.drain()
  }

  #route(event: Event, nowMs: number): void {
    const { catchUp, outbox } = this.#parts
    switch (event.type) {
      case 'start':
        return catchUp.start()
      case 'message':
        return this.#onMessage(event.from, event.message, nowMs)
      case 'verified':
        return this.#onVerified(event.check, event.valid)
      case 'timeout':
        return catchUp.onTimeout()
      case 'persisted':
        outbox.durable = event.upTo
        this.#parts.normalCase.onPersisted()
        return this.#parts.checkpoints.onPersisted()
      case 'executed':
        return this.#onExecuted(event)
      case 'committed-read':
        return this.#onCommittedRead(event)
      case 'session-up':
        return catchUp.onSessionUp(event.peer)
      case 'session-down':
        return
      case 'database-connected':
        return this.#onDatabase(event.database)
      default:
        return assertNever(event)
    }
  }

  #onMessage(from: PrincipalId, message: Message, nowMs: number): void {
    const { normalCase, batcher, checkpoints, catchUp, reads, outbox } = this.#parts
    switch (message.type) {
      case 'request':
        return batcher.onRequest(from, message)
      case 'pre-prepare':
        return normalCase.onPrePrepare(from, message)
      case 'prepare':
        return normalCase.onPrepare(from, message)
      case 'commit':
        return normalCase.onCommit(from, message)
      case 'checkpoint':
        return checkpoints.onCheckpoint(from, message)
      case 'status':
        return catchUp.onStatus(from, message, nowMs)
      case 'committed':
        return catchUp.onCommitted(from, message)
      case 'read':
        return reads.onRead(from, message)
      // A replica has nobody to answer it, and views do not change yet.
      case 'reply':
      case 'read-reply':
      case 'view-change':
      case 'new-view':
      case 'inspect':
      case 'inspection':
        return outbox.reject(from, 'unexpected-type')
      default:
        return assertNever(message)
    }
  }

  #onVerified(check: CheckId, valid: readonly boolean[]): void {
    const { normalCase, batcher, checkpoints, catchUp } = this.#parts
    const owners = [normalCase, batcher, checkpoints, catchUp]
    if (!owners.some((owner) => owner.onVerified(check, valid)))
      throw new Error(`nobody asked for check ${check}`)
  }

  #onExecuted({
    seq,
    chain,
    lanes,
  }: {
    seq: Seq
    chain: CoreParts['execution']['chain']
    lanes: readonly LaneEntry[]
  }): void {
    const { execution, checkpoints, catchUp, reads } = this.#parts
    execution.onExecuted(seq, chain)
    for (const entry of lanes) this.#answer(entry)
    checkpoints.onExecuted(seq, chain)
    catchUp.onExecuted()
    reads.onExecuted()
  }

  /** [NC6] The result goes to the client; what its lane holds next goes to the primary. */
  #answer(entry: LaneEntry): void {
    const { table, batcher, normalCase, outbox } = this.#parts
    const next = table.executed(entry)
    if (next !== undefined) batcher.onLaneFree(next)
    const outcome = { kind: 'executed' as const, result: entry.result }
    outbox.send([entry.client], replyTo(entry, { outcome, view: normalCase.view }))
  }

  #onCommittedRead({ reader, entries }: Extract<Event, { type: 'committed-read' }>): void {
    const { config, execution, answers } = this.#parts
    if (reader === (config.self as ReplicaId)) execution.onRedo(entries)
    else answers.onCommittedRead(reader, entries)
  }

  #onDatabase(database: DatabaseState): void {
    const { outbox, execution, table, checkpoints, reads } = this.#parts
    const fault = contradictionNow(this.#parts, database)
    if (fault !== null) return outbox.effect({ type: 'halt', fault })
    reads.raiseFloor(execution.issued)
    execution.reset(database)
    table.replace(database.lanes)
    if (database.checkpoint !== null)
      checkpoints.onExecuted(database.checkpoint.seq, database.checkpoint.chain)
    reads.onExecuted()
  }
}
