import type { Batch } from '../../protocol/messages.ts'
import type { Digest, LogPosition, Seq, View } from '../../protocol/types.ts'
import { Answers } from './answers.ts'
import { Batcher } from './batcher.ts'
import { CatchUp } from './catch-up.ts'
import { Checkpoints, type StableRecord } from './checkpoint.ts'
import { ClientTable } from './client-table.ts'
import type { CoreConfig, CoreCrypto } from './config.ts'
import type { CoreParts } from './core.ts'
import type { Fault } from './effect.ts'
import type { DatabaseState } from './event.ts'
import { Execution } from './execution.ts'
import { SlotLog } from './log.ts'
import { NormalCase } from './normal-case.ts'
import { Outbox } from './outbox.ts'
import { Reads } from './reads.ts'
import { seqOfRecord, type VoteRecord } from './vote-record.ts'

/** Until views change, the cluster stays in the first one. */
const FIRST_VIEW = 0 as View

type RecoverArgs = {
  readonly config: CoreConfig
  readonly crypto: CoreCrypto
  readonly votes: readonly VoteRecord[]
  readonly database: DatabaseState
}

/** [D1] A core that stands by everything its log says: its votes, its numbers, its CHECKPOINTs. */
export function recoverParts({ config, crypto, votes, database }: RecoverArgs): CoreParts {
  const stable = newestStable(votes)
  const committedInLog = highestCommitted(votes)
  const outbox = new Outbox()
  const log = new SlotLog(stable?.seq ?? (0 as Seq), config.logWindow)
  const table = new ClientTable()
  table.replace(database.lanes)
  const execution = new Execution({ config, outbox, executed: database, committedInLog })
  const normalCase = new NormalCase({ config, crypto, outbox, log, table, execution, view: FIRST_VIEW })
  restoreSlots(votes, { log, normalCase, execution, outbox })
  const used = Math.max(highestSeq(votes), log.lowWaterMark, database.lastExecuted)
  const nextSeq = (Math.min(used, log.highWaterMark) + 1) as Seq
  const batcher = new Batcher({ config, crypto, outbox, log, table, execution, normalCase, nextSeq })
  const lastOwn = highestSeq(votes.filter(({ kind }) => kind === 'checkpoint')) as Seq
  const checkpoints = new Checkpoints({ config, crypto, outbox, log, execution, stable, lastOwn })
  for (const record of votes) {
    if (record.kind !== 'checkpoint') continue
    const { seq, stateRoot, chain, signature } = record
    checkpoints.restoreOwn({ type: 'checkpoint', seq, stateRoot, chain, replica: config.self, signature })
  }
  const answers = new Answers({ config, outbox, log, execution, normalCase, checkpoints })
  const catchUp = new CatchUp({ config, outbox, log, execution, normalCase, checkpoints, answers })
  const reads = new Reads({ config, outbox, execution, floor: readFloor(votes, committedInLog) })
  const fault = contradiction(votes, database)
  if (fault !== null) outbox.effect({ type: 'halt', fault })
  else {
    markExecuted(database.lastExecuted, { log, outbox })
    if (database.checkpoint !== null) {
      checkpoints.onExecuted(database.checkpoint.seq, database.checkpoint.chain)
    }
  }
  return { config, outbox, log, table, execution, normalCase, batcher, checkpoints, answers, catchUp, reads }
}

function newestStable(votes: readonly VoteRecord[]): StableRecord | null {
  let newest: StableRecord | null = null
  for (const record of votes) {
    if (record.kind === 'stable' && (newest === null || record.seq > newest.seq)) newest = record
  }
  return newest
}

const highestSeq = (votes: readonly VoteRecord[]): number =>
  votes.reduce((highest, record) => Math.max(highest, seqOfRecord(record)), 0)

/** A stable checkpoint stands for everything up to it. */
const highestCommitted = (votes: readonly VoteRecord[]): Seq =>
  highestSeq(votes.filter(({ kind }) => kind === 'committed' || kind === 'stable')) as Seq

/** [D4] What the log shows prepared or committed was perhaps acknowledged, and must be visible before a read. */
const readFloor = (votes: readonly VoteRecord[], committedInLog: Seq): Seq =>
  Math.max(highestSeq(votes.filter(({ kind }) => kind === 'prepared')), committedInLog) as Seq

type Restored = Pick<CoreParts, 'log' | 'normalCase' | 'execution' | 'outbox'>

function restoreSlots(votes: readonly VoteRecord[], parts: Restored): void {
  const { log, normalCase } = parts
  const taken = new Map<Seq, Batch>()
  for (const record of votes) {
    const seq = seqOfRecord(record)
    if (!log.contains(seq)) continue
    switch (record.kind) {
      case 'pre-prepare':
        normalCase.restoreAccepted(log.at(seq), record)
        break
      case 'prepared':
        normalCase.restorePrepared(log.at(seq), record)
        break
      case 'committed':
        restoreCommitted(record, taken.get(seq), parts)
        break
      case 'batch':
        taken.set(seq, record.batch)
        break
      case 'checkpoint':
      case 'stable':
        break
    }
  }
}

/** Handed to execution at once: marks need not be logged in order, and a redo from the log ends at the first gap. */
function restoreCommitted(
  { seq, view, digest }: Extract<VoteRecord, { kind: 'committed' }>,
  taken: Batch | undefined,
  { log, execution, outbox }: Restored,
): void {
  const slot = log.at(seq)
  slot.committed = { view, digest }
  const batch = slot.accepted?.header.digest === digest ? slot.accepted.batch : taken
  if (batch?.digest !== digest || execution.has(seq)) return
  outbox.observe({ kind: 'committed', seq, digest, how: 'log' })
  execution.commit(seq, { batch, at: 0 as LogPosition })
}

/**
 * [D4] What was executed after it was prepared here was committed, also when the log lost the mark, which nothing
 * waited for. It is written again, without proof: a log with a gap could never serve what lies behind it [CP5].
 */
function markExecuted(lastExecuted: Seq, { log, outbox }: { log: SlotLog; outbox: Outbox }): void {
  for (const slot of log.all()) {
    const { seq, accepted, preparedAt, committed } = slot
    if (seq > lastExecuted || accepted === null || preparedAt === null || committed !== null) continue
    const { view, digest } = accepted.header
    outbox.persist({ kind: 'committed', seq, view, digest, commits: [] })
    slot.committed = { view, digest }
  }
}

/**
 * [D4] Where the log and the database speak of the same seq they must agree: the batch that was executed last, and
 * the chain at a CHECKPOINT that this replica signed. Behind is redone, ahead (the log's unsynced end was lost) is
 * accepted.
 */
function contradiction(logged: readonly VoteRecord[], database: DatabaseState): Fault | null {
  for (const record of logged) {
    if (record.kind === 'committed' && record.seq === database.lastExecuted) {
      const fault = differing('batch', {
        seq: record.seq,
        logged: record.digest,
        database: database.batchDigest,
      })
      if (fault !== null) return fault
    }
    if (
      (record.kind === 'checkpoint' || record.kind === 'stable') &&
      record.seq === database.checkpoint?.seq
    ) {
      const fault = differing('chain', {
        seq: record.seq,
        logged: record.chain,
        database: database.checkpoint.chain,
      })
      if (fault !== null) return fault
    }
  }
  return null
}

/** [D4] The same for a database that comes back while the replica runs, against all that it knows by now. */
export function contradictionNow(
  { log, execution, checkpoints }: Pick<CoreParts, 'log' | 'execution' | 'checkpoints'>,
  { lastExecuted: seq, chain, batchDigest, checkpoint }: DatabaseState,
): Fault | null {
  const executed = seq === execution.lastExecuted ? execution.chain : chain
  const committed = log.get(seq)?.committed?.digest ?? batchDigest
  const own = checkpoint === null ? undefined : checkpoints.ownAt(checkpoint.seq)
  return (
    differing('chain', { seq, logged: executed, database: chain }) ??
    (committed === null ? null : differing('batch', { seq, logged: committed, database: batchDigest })) ??
    (own === undefined || checkpoint === null
      ? null
      : differing('chain', { seq: own.seq, logged: own.chain, database: checkpoint.chain }))
  )
}

function differing(
  what: string,
  at: { readonly seq: Seq; readonly logged: Digest; readonly database: Digest | null },
): Fault | null {
  if (at.database === null || at.database === at.logged) return null
  const detail = `${what} at seq ${at.seq}: the vote log has ${at.logged}, the database ${at.database}`
  return { code: 'database-contradicts-log', seq: at.seq, detail }
}
