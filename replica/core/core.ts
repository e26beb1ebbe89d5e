import type { Evidence, Message } from '../../protocol/messages.ts'
import { assertNever, isReplica, type PrincipalId, type ReplicaId, type Seq } from '../../protocol/types.ts'
import type { Accusations } from './accusations.ts'
import type { Allowances } from './allowance.ts'
import type { Amnesia } from './amnesia.ts'
import type { Answers } from './answers.ts'
import { BACKLOG_MAX, type Batcher } from './batcher.ts'
import type { Bodies } from './bodies.ts'
import type { CatchUp } from './catch-up.ts'
import type { Checkpoints } from './checkpoint.ts'
import { type ClientTable, clientOf, replyTo } from './client-table.ts'
import { type RecoverArgs, recoverParts } from './compose.ts'
import type { CoreConfig } from './config.ts'
import { type Early, viewOf } from './early.ts'
import type { CheckId, Effect, TimerName } from './effect.ts'
import type { DatabaseState, Event, LaneEntry } from './event.ts'
import type { Execution } from './execution.ts'
import type { Incarnations } from './incarnations.ts'
import { checkInvariants } from './invariants.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'
import type { PrimaryWatch } from './primary-watch.ts'
import type { Reads } from './reads.ts'
import { chainMismatch, contradictionNow, markExecuted } from './recovery.ts'
import type { StateSource } from './state-source.ts'
import type { StateTransfer } from './state-transfer.ts'
import type { ViewTimer } from './view-timer.ts'
import type { Views } from './views.ts'
import type { Waiting } from './waiting.ts'

export type CoreParts = {
  readonly config: CoreConfig
  readonly outbox: Outbox
  readonly log: SlotLog
  readonly waiting: Waiting
  readonly table: ClientTable
  readonly execution: Execution
  readonly incarnations: Incarnations
  readonly amnesia: Amnesia
  readonly timer: ViewTimer
  readonly watch: PrimaryWatch
  readonly allowances: Allowances
  readonly normalCase: NormalCase
  readonly early: Early
  readonly batcher: Batcher
  readonly bodies: Bodies
  readonly checkpoints: Checkpoints
  readonly accusations: Accusations
  readonly views: Views
  readonly source: StateSource
  readonly transfer: StateTransfer
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
  /** h when the last step ended. */
  #stable: Seq
  /** The last state that was installed. */
  #installed = 0 as Seq

  private constructor(parts: CoreParts) {
    this.#parts = parts
    this.#stable = parts.log.lowWaterMark
  }

  /**
   * Takes up where the vote log and the database stopped [D1] [D4]. `votes`: the standing records, the newest stable
   * one and everything above it, in order. The first step must be 'start'.
   */
  static recover(args: RecoverArgs): ReplicaCore {
    return new ReplicaCore(recoverParts(args))
  }

  /** For tests and status: what an outsider may know. */
  get position() {
    const { log, execution, normalCase, batcher, views, amnesia, transfer, timer } = this.#parts
    return {
      view: normalCase.view,
      highestViewChange: views.highestViewChange,
      primary: normalCase.primary,
      lowWaterMark: log.lowWaterMark,
      lastExecuted: execution.lastExecuted,
      chain: execution.chain,
      frontier: execution.frontier,
      nextSeq: batcher.nextSeq,
      slots: log.size,
      isAmnesiac: !amnesia.isVoting,
      transfer: transfer.target,
      timeoutMs: timer.lengthMs,
    }
  }

  /** [EV3] What is held against others. */
  get evidence(): readonly Evidence[] {
    return this.#parts.accusations.evidence
  }

  /** [FS2] False for a client whose messages are refused: they need not be decoded. */
  hears(from: PrincipalId): boolean {
    return isReplica(from) || this.#parts.allowances.has(from)
  }

  /** `nowMs` never goes back within a process. */
  step(event: Event, nowMs: number): Effect[] {
    const { outbox, watch } = this.#parts
    outbox.nowMs = nowMs
    watch.onStep()
    this.#route(event)
    this.#settle()
    checkInvariants(this.#parts)
    return outbox.drain()
  }

  /** What follows from any event. */
  #settle(): void {
    const { amnesia, views, transfer, execution, source, batcher, timer } = this.#parts
    this.#followStable()
    if (amnesia.settle()) views.onVotingAgain()
    if (amnesia.renew()) views.onIncarnationRenewed()
    this.#takeEarly()
    transfer.advance()
    execution.advance()
    source.advance()
    batcher.admit()
    batcher.propose()
    this.#judgePrimary()
    timer.watch(this.#awaited())
  }

  /** [NC4] What was said in the view that was just entered, before this replica had entered it. */
  #takeEarly(): void {
    const { early, normalCase } = this.#parts
    if (!normalCase.mayVote) return
    for (const { from, message } of early.take(normalCase.view)) this.#onMessage(from, message)
  }

  /** [NC10] Who is late, or waits for its own database, does not judge. */
  #judgePrimary(): void {
    const { amnesia, views, normalCase, transfer, catchUp, waiting, watch, log, execution, batcher } =
      this.#parts
    const hasRoom = execution.frontier < log.highWaterMark && execution.backlog < BACKLOG_MAX / 2
    const mayJudge = amnesia.isVoting && !views.isPending && !normalCase.isPrimary && !transfer.isActive
    const isJudge = mayJudge && hasRoom && !catchUp.isBehind
    const oldest = isJudge ? waiting.oldestUnordered() : null
    const awaited = oldest !== null && isReplica(clientOf(oldest.key)) ? null : oldest
    const isShared = awaited !== null && batcher.isShared(clientOf(awaited.key))
    watch.watch(awaited, { isShared, committedUpTo: execution.frontier })
    if (isJudge && watch.isTooSlow(views)) views.onPrimaryTooSlow()
  }

  /** [NC8] [VC4] */
  #awaited() {
    const { amnesia, views, normalCase, transfer, waiting, execution, batcher } = this.#parts
    if (!amnesia.isVoting) return null
    const { pending } = views
    if (pending !== null) return views.isNewViewDue ? { what: 'new-view' as const, a: pending, b: 0 } : null
    if (normalCase.isPrimary || transfer.isActive) return null
    const { frontier } = execution
    const oldest = waiting.oldest(frontier)
    if (oldest !== null) return { what: 'request' as const, a: oldest.key, b: oldest.number }
    // [D5] An idle order is filled, number by number, by whoever is the primary.
    return batcher.fillUpTo > frontier ? { what: 'fill' as const, a: 0, b: frontier } : null
  }

  #route(event: Event): void {
    const { catchUp, outbox, source, transfer } = this.#parts
    switch (event.type) {
      case 'start':
        this.#parts.batcher.onIncarnationsLearnt(this.#parts.incarnations.all())
        return catchUp.start()
      case 'message':
        return this.#onMessage(event.from, event.message)
      case 'verified':
        return this.#onVerified(event.check, event.valid)
      case 'timeout':
        return this.#onTimeout(event.timer)
      case 'persisted':
        outbox.durable = event.upTo
        this.#parts.normalCase.onPersisted()
        return this.#parts.checkpoints.onPersisted()
      case 'executed':
        return this.#onExecuted(event)
      case 'committed-read':
        return this.#onCommittedRead(event)
      case 'session-up':
        this.#parts.accusations.onSessionUp(event.peer)
        return catchUp.onSessionUp(event.peer)
      case 'session-down':
        return catchUp.onSessionDown(event.peer)
      case 'database-connected':
        return this.#onDatabase(event.database)
      case 'checkpoint-taken':
        return this.#onCheckpointTaken(event)
      case 'checkpoints-lost':
        this.#parts.checkpoints.onLost()
        return source.onLost()
      case 'partitions-read':
        return source.onPartitionsRead(event)
      case 'history-read':
        return source.onHistoryRead(event)
      case 'transfer-begun':
        return transfer.onBegun(event)
      case 'partition-staged':
        return transfer.onPartitionStaged(event)
      case 'history-staged':
        return transfer.onHistoryStaged(event)
      case 'state-installed':
        return this.#onInstalled(event)
      case 'rows-mismatched':
        return transfer.onMismatch(event.rows)
      default:
        return assertNever(event)
    }
  }

  #onMessage(from: PrincipalId, message: Message): void {
    const { batcher, checkpoints, catchUp, reads, outbox, views, bodies, source, transfer } = this.#parts
    const { accusations } = this.#parts
    if (!this.hears(from)) return outbox.reject(from, 'rate-limited')
    switch (message.type) {
      case 'request':
        return batcher.onRequest(from, message)
      case 'pre-prepare':
      case 'prepare':
      case 'commit':
        return this.#onOrdering(from, message)
      case 'checkpoint':
        accusations.onCheckpoint(from, message)
        return checkpoints.onCheckpoint(from, message)
      case 'view-change':
        accusations.onViewChange(from, message)
        return views.onViewChange(from, message)
      case 'new-view':
        accusations.onNewView(from, message)
        return views.onNewView(from, message)
      case 'status':
        return this.#onStatus(from, message)
      case 'committed':
        accusations.onCommitted(from, message)
        return catchUp.onCommitted(from, message)
      case 'fetch-batch':
        return bodies.onFetch(from, message)
      case 'fetched-batch':
        return bodies.onFetched(from, message)
      case 'fetch-checkpoint':
        return source.onFetchCheckpoint(from, message)
      case 'state-offer':
        accusations.onCheckpoint(from, message.checkpoint)
        return transfer.onOffer(from, message)
      case 'fetch-partitions':
        return source.onFetchPartitions(from, message)
      case 'partitions':
        return transfer.onPartitions(from, message)
      case 'fetch-history':
        return source.onFetchHistory(from, message)
      case 'history':
        return transfer.onHistory(from, message)
      case 'testimony':
        return accusations.onTestimony(from, message)
      case 'evidence':
        return accusations.onEvidence(from, message)
      case 'read':
        return reads.onRead(from, message)
      // Replies to this replica's own RECOVER: it learns of it by executing it.
      case 'reply':
        return
      case 'read-reply':
      case 'inspect':
      case 'inspection':
        return outbox.reject(from, 'unexpected-type')
      default:
        return assertNever(message)
    }
  }

  #onOrdering(
    from: PrincipalId,
    message: Extract<Message, { type: 'pre-prepare' | 'prepare' | 'commit' }>,
  ): void {
    const { normalCase, views, amnesia, early, outbox, accusations } = this.#parts
    if (!amnesia.isVoting) return outbox.reject(from, 'amnesiac')
    const view = viewOf(message)
    if (view > views.view && view >= views.highestViewChange && isReplica(from))
      return early.keep(from, message)
    accusations.onOrdering(from, message)
    switch (message.type) {
      case 'pre-prepare':
        return normalCase.onPrePrepare(from, message)
      case 'prepare':
        return normalCase.onPrepare(from, message)
      case 'commit':
        return normalCase.onCommit(from, message)
    }
  }

  #onStatus(from: PrincipalId, message: Extract<Message, { type: 'status' }>): void {
    const { amnesia, catchUp, config, outbox } = this.#parts
    if (from >= config.quorum.n) return outbox.reject(from, 'not-own-vote')
    amnesia.onStatus(from as ReplicaId, message)
    if (message.checkpoint !== null) this.#parts.accusations.onCheckpoint(from, message.checkpoint)
    catchUp.onStatus(from, message, outbox.nowMs)
  }

  #onVerified(check: CheckId, valid: readonly boolean[]): void {
    const { normalCase, batcher, checkpoints, catchUp, views, transfer, accusations } = this.#parts
    const owners = [normalCase, batcher, checkpoints, catchUp, views, transfer, accusations]
    if (!owners.some((owner) => owner.onVerified(check, valid)))
      throw new Error(`nobody asked for check ${check}`)
  }

  #onTimeout(timer: TimerName): void {
    const { catchUp, amnesia, bodies, source, transfer, accusations } = this.#parts
    switch (timer) {
      case 'status':
        amnesia.onTick()
        accusations.onTick()
        bodies.onTick()
        source.onTick()
        return catchUp.onTimeout()
      case 'view-change':
        return this.#onViewTimeout()
      case 'transfer':
        return transfer.onTimeout()
      default:
        return assertNever(timer)
    }
  }

  /** [NC8] */
  #onViewTimeout(): void {
    const { timer, views, catchUp } = this.#parts
    if (!timer.onTimeout()) return
    if (!views.isPending && catchUp.excusesPrimary()) timer.restart()
    else views.onTimerExpired()
  }

  #onExecuted({ seq, chain, lanes, incarnations }: Extract<Event, { type: 'executed' }>): void {
    const { execution, checkpoints, catchUp, reads, batcher } = this.#parts
    execution.onExecuted(seq, chain)
    this.#parts.incarnations.learn(incarnations)
    batcher.onRecovered(incarnations)
    batcher.onClientsServed(lanes)
    for (const entry of lanes) this.#answer(entry)
    this.#parts.normalCase.onExecuted(seq)
    checkpoints.onExecuted(seq)
    catchUp.onExecuted()
    reads.onExecuted()
  }

  /** [NC6] The result goes to the client; what its lane holds next goes to the primary. */
  #answer(entry: LaneEntry): void {
    const { table, batcher, outbox } = this.#parts
    const next = table.executed(entry)
    if (next !== undefined) batcher.onLaneFree(next)
    if (isReplica(entry.client)) return
    outbox.send([entry.client], replyTo(entry, { kind: 'executed', result: entry.result }))
  }

  #onCommittedRead({ reader, entries }: Extract<Event, { type: 'committed-read' }>): void {
    const { config, execution, answers } = this.#parts
    if (reader === config.self) execution.onRedo(entries)
    else answers.onCommittedRead(reader, entries)
  }

  #onCheckpointTaken(state: Extract<Event, { type: 'checkpoint-taken' }>): void {
    const { checkpoints, source, amnesia } = this.#parts
    // [CP6] What was held before a state was installed is what others had to replace.
    const isReplaced = state.seq < this.#installed
    if (!isReplaced) checkpoints.onTaken(state, { mayVote: amnesia.isVoting })
    source.onTaken(state)
  }

  /** h moved: O's entries that lay above the window may now be in it. */
  #followStable(): void {
    const { log, normalCase, timer, watch } = this.#parts
    if (log.lowWaterMark === this.#stable) return
    this.#stable = log.lowWaterMark
    normalCase.takeOrdered()
    timer.onStable()
    watch.onStable(log.lowWaterMark)
  }

  #onDatabase(database: DatabaseState): void {
    const { outbox, execution, reads, source, transfer } = this.#parts
    const fault = contradictionNow(this.#parts, database)
    if (fault !== null) return outbox.effect({ type: 'halt', fault })
    reads.raiseFloor(execution.issued)
    this.#takeDatabase(database)
    source.onReconnected()
    transfer.onReconnected()
    const mismatch = chainMismatch(this.#parts.checkpoints, database)
    if (mismatch.length > 0) transfer.onMismatch(mismatch)
  }

  /** [CP4] The database jumped to a certified state. */
  #onInstalled(event: Extract<Event, { type: 'state-installed' }>): void {
    const { checkpoints, transfer, catchUp, incarnations, batcher } = this.#parts
    this.#installed = event.database.lastExecuted
    batcher.onIncarnationsLearnt(incarnations.newIn(event.database.incarnations))
    this.#takeDatabase(event.database)
    markExecuted(event.database, this.#parts)
    this.#parts.normalCase.onInstalled(event.database.lastExecuted)
    transfer.onInstalled(event)
    checkpoints.onInstalled()
    catchUp.onExecuted()
  }

  #takeDatabase(database: DatabaseState): void {
    const { execution, table, incarnations, reads } = this.#parts
    execution.reset(database)
    table.replace(database.lanes)
    incarnations.learn(database.incarnations)
    reads.onExecuted()
  }
}
