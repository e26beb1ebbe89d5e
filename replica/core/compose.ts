import type { Evidence } from '../../protocol/messages.ts'
import type { Seq, View } from '../../protocol/types.ts'
import { Accusations } from './accusations.ts'
import { Allowances } from './allowance.ts'
import { Amnesia } from './amnesia.ts'
import { Answers } from './answers.ts'
import { Batcher } from './batcher.ts'
import { Bodies } from './bodies.ts'
import { CatchUp } from './catch-up.ts'
import { Checkpoints } from './checkpoint.ts'
import { ClientTable } from './client-table.ts'
import type { CoreConfig, CoreCrypto } from './config.ts'
import type { CoreParts } from './core.ts'
import { Early } from './early.ts'
import type { DatabaseState } from './event.ts'
import { Execution } from './execution.ts'
import { Incarnations } from './incarnations.ts'
import { SlotLog } from './log.ts'
import { NormalCase } from './normal-case.ts'
import { OrderDecision } from './order-decision.ts'
import { Outbox } from './outbox.ts'
import { PrimaryWatch } from './primary-watch.ts'
import { Reads } from './reads.ts'
import {
  chainMismatch,
  contradiction,
  highestSeq,
  highestUsed,
  markExecuted,
  readFloor,
  restoreSlots,
  sortOut,
} from './recovery.ts'
import { StateSource } from './state-source.ts'
import { StateTransfer } from './state-transfer.ts'
import { ViewChanges } from './view-changes.ts'
import { ViewTimer } from './view-timer.ts'
import { Views } from './views.ts'
import type { VoteRecord } from './vote-record.ts'
import { Waiting } from './waiting.ts'

export type RecoverArgs = {
  readonly config: CoreConfig
  readonly crypto: CoreCrypto
  /** What the vote log recovers. */
  readonly votes: readonly VoteRecord[]
  readonly database: DatabaseState
  /** [D5] Above every incarnation that this replica had: wall clock in microseconds. */
  readonly nextIncarnation: number
  /** Committed batches above this may be in the vote log. */
  readonly servedFrom: Seq
  /** [EV3] What was kept before, verified. */
  readonly evidence: readonly Evidence[]
}

/** [D1] A core that stands by everything its log says: its votes, its numbers, its views, its CHECKPOINTs. */
export function recoverParts(args: RecoverArgs): CoreParts {
  const { config, crypto, votes, database } = args
  const said = sortOut(votes)
  const outbox = new Outbox()
  const log = new SlotLog(said.stable?.seq ?? (0 as Seq), config.logWindow)
  const waiting = new Waiting(outbox)
  const table = new ClientTable(waiting)
  table.replace(database.lanes)
  const execution = new Execution({ config, outbox, executed: database, committedInLog: said.committedInLog })
  const incarnations = new Incarnations(database.incarnations)
  const amnesia = new Amnesia({
    config,
    crypto,
    outbox,
    log,
    incarnations,
    state: said.amnesiac ? 'amnesiac' : 'voting',
    incarnation: said.recovered?.incarnation ?? 0,
    votesFrom: said.recovered?.view ?? (0 as View),
    nextIncarnation: args.nextIncarnation,
  })
  const timer = new ViewTimer({ config, outbox })
  const watch = new PrimaryWatch({ config, outbox })
  const allowances = new Allowances(outbox)
  const { view, orderedUpTo } = said
  const mayVote = said.pending === null && amnesia.mayVoteIn(view)
  const normalCase = new NormalCase({
    config,
    crypto,
    outbox,
    log,
    table,
    execution,
    timer,
    watch,
    allowances,
    view,
    orderedUpTo,
    mayVote,
  })
  restoreSlots(said, { log, normalCase, execution, outbox })
  const nextSeq = (Math.max(highestUsed(said), log.lowWaterMark, database.lastExecuted) + 1) as Seq
  const batcher = new Batcher({
    config,
    crypto,
    outbox,
    log,
    table,
    execution,
    normalCase,
    incarnations,
    allowances,
    nextSeq,
  })
  const lastOwn = highestSeq(votes.filter(({ kind }) => kind === 'checkpoint'))
  const checkpoints = new Checkpoints({
    config,
    crypto,
    outbox,
    log,
    execution,
    stable: said.stable,
    lastOwn,
  })
  for (const record of votes) {
    if (record.kind !== 'checkpoint') continue
    const { seq, stateRoot, chain, signature } = record
    checkpoints.restoreOwn({ type: 'checkpoint', seq, stateRoot, chain, replica: config.self, signature })
  }
  const { evidence } = args
  const accusations = new Accusations({ config, outbox, log, normalCase, checkpoints, evidence })
  const bodies = new Bodies({ config, outbox, log, normalCase })
  const viewChanges = new ViewChanges({ config, outbox, checkpoints, incarnations })
  const decision = new OrderDecision({ config, outbox })
  const views = new Views({
    config,
    crypto,
    outbox,
    log,
    normalCase,
    batcher,
    bodies,
    checkpoints,
    viewChanges,
    decision,
    timer,
    watch,
    amnesia,
    logged: said.views,
  })
  const { servedFrom } = args
  const source = new StateSource({ config, outbox, execution, checkpoints, views, servedFrom })
  const answers = new Answers({ config, outbox, log, execution, normalCase, checkpoints, views, source })
  const catchUp = new CatchUp({
    config,
    outbox,
    log,
    execution,
    views,
    checkpoints,
    answers,
    source,
    waiting,
  })
  const transfer = new StateTransfer({ config, crypto, outbox, log, execution, checkpoints, catchUp, source })
  const reads = new Reads({ config, outbox, execution, amnesia, floor: readFloor(said) })
  const fault = contradiction(votes, database)
  if (fault !== null) outbox.effect({ type: 'halt', fault })
  else markExecuted(database, { log, normalCase, outbox })
  const mismatch = chainMismatch(checkpoints, database)
  if (mismatch.length > 0) transfer.onMismatch(mismatch)
  const early = new Early(3 * config.logWindow)
  return {
    config,
    outbox,
    log,
    waiting,
    table,
    execution,
    incarnations,
    amnesia,
    timer,
    watch,
    allowances,
    normalCase,
    early,
    batcher,
    bodies,
    checkpoints,
    accusations,
    views,
    source,
    transfer,
    answers,
    catchUp,
    reads,
  }
}
