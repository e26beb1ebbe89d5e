import type { Parameters } from '../../protocol/config.ts'
import type { Request } from '../../protocol/messages.ts'
import type { Operation, OperationResult, SimpleOperation } from '../../protocol/operations.ts'
import { encodeResults } from '../../protocol/results-codec.ts'
import { chainDigestOf, resultsDigestOf } from '../../protocol/signing.ts'
import type { ReplicaId, RequestNumber, View } from '../../protocol/types.ts'
import type { ClientRow, PrincipalRow, RequestMark } from '../rows.ts'
import { laneNumber } from '../rows.ts'
import type { BatchAt, Executed, Incarnation, LaneEntry, Position } from '../store.ts'
import type { RequestOutcome } from './digests.ts'
import { repliesDigestOf, transfersDigestOf } from './digests.ts'
import { type Caller, executeOperation, REQUEST_HISTORY_ENTRIES_MAX, refused } from './operations.ts'
import { type Changes, type RowSource, RunState } from './run-state.ts'

/** What of genesis decides results. */
export type ExecutionParameters = Pick<Parameters, 'lanesPerClientMax'>

export type RunOutcome = {
  readonly executed: readonly Executed[]
  readonly changes: Changes
  readonly position: Position
}

/**
 * Executes consecutive batches, the first at position.lastExecuted + 1, over committed rows. Pure: the same rows and
 * batches give the same bytes, whether applied as one run or batch by batch.
 */
export function applyRun(args: {
  readonly source: RowSource
  readonly position: Position
  readonly run: readonly BatchAt[]
  readonly parameters: ExecutionParameters
}): RunOutcome {
  const state = new RunState(args.source)
  const executed: Executed[] = []
  let position = args.position
  for (const at of args.run) {
    const done = applyBatch({ state, position, at, parameters: args.parameters })
    position = { lastExecuted: done.seq, chain: done.chain }
    executed.push(done)
  }
  return { executed, changes: state.changes(), position }
}

function applyBatch(args: {
  readonly state: RunState
  readonly position: Position
  readonly at: BatchAt
  readonly parameters: ExecutionParameters
}): Executed {
  const { state, position, parameters } = args
  const { seq, batch } = args.at
  state.beginBatch(seq)
  const lanes: LaneEntry[] = []
  const incarnations: Incarnation[] = []
  const outcomes = batch.requests.map((request): RequestOutcome => {
    const outcome = applyRequest({ state, request, parameters, incarnations })
    if (outcome.kind === 'executed') {
      const { client, lane, number, digest } = request
      lanes.push({ client, lane, number, requestDigest: digest, result: outcome.result })
    }
    return outcome
  })
  const repliesDigest = repliesDigestOf(batch.requests, outcomes)
  const transfersDigest = transfersDigestOf(state.transfersOfBatch())
  const resultsDigest = resultsDigestOf(repliesDigest, transfersDigest)
  const chain = chainDigestOf({ previous: position.chain, seq, batchDigest: batch.digest, resultsDigest })
  state.addChainRow({ seq, batchDigest: batch.digest, repliesDigest, transfersDigest, chain })
  return { seq, chain, lanes, incarnations }
}

/** [NC5] Executes the request unless its lane is beyond it. */
function applyRequest(args: {
  readonly state: RunState
  readonly request: Request
  readonly parameters: ExecutionParameters
  /** Where a RECOVER goes that took effect. */
  readonly incarnations: Incarnation[]
}): RequestOutcome {
  const { state, request, parameters, incarnations } = args
  const { client, lane, number, digest, operations } = request
  const principal = state.principal(client)
  if (principal === undefined || lane >= parameters.lanesPerClientMax) return { kind: 'void' }
  const row = state.clientRow(client, lane)
  if (number <= laneNumber(row)) return { kind: 'stale' }
  const mark: RequestMark = { number, requestDigest: digest }
  const version = state.seq
  const isReplica = principal.role === 'replica'
  const [only] = operations.length === 1 ? operations : []
  if (only?.kind === 'lookup' && !isReplica) {
    const real = row?.real ?? null
    state.putClientRow({ client, lane, real, lookup: mark, version })
    return { kind: 'executed', result: lookupResult(real) }
  }
  const result = encodeResults(
    only?.kind === 'recover' && isReplica
      ? [recover({ state, principal, incarnation: number, view: only.view, incarnations })]
      : applyOperations(state, principal, operations),
  )
  state.putClientRow({ client, lane, real: { ...mark, result }, lookup: null, version })
  return { kind: 'executed', result }
}

/** [D5] A replica without its vote log names the incarnation that it will vote under. */
function recover(args: {
  readonly state: RunState
  readonly principal: PrincipalRow
  readonly incarnation: RequestNumber
  readonly view: View
  readonly incarnations: Incarnation[]
}): OperationResult {
  const { state, principal, incarnation, view, incarnations } = args
  const { seq } = state
  state.putPrincipal({ ...principal, incarnation, incarnationView: view, version: seq })
  incarnations.push({ replica: principal.id as ReplicaId, incarnation, view, seq })
  return { kind: 'recovered', incarnation, view }
}

function applyOperations(
  state: RunState,
  principal: PrincipalRow,
  operations: readonly Operation[],
): OperationResult[] {
  const caller: Caller = {
    id: principal.id,
    role: principal.role,
    historyEntriesLeft: REQUEST_HISTORY_ENTRIES_MAX,
  }
  return operations.map((operation) => applyOperation(state, caller, operation))
}

const lookupResult = (entry: ClientRow['real']): Uint8Array => encodeResults([{ kind: 'lookup', entry }])

function applyOperation(state: RunState, caller: Caller, operation: Operation): OperationResult {
  switch (operation.kind) {
    case 'linked':
      return applyLinked(state, caller, operation.operations)
    case 'lookup':
    case 'recover':
      // Both stand alone in their request, which the codec sees to; the one is not a replica's, the other only that.
      return refused('not-authorised', operation.kind)
    default:
      return executeOperation(state, caller, operation)
  }
}

function applyLinked(
  state: RunState,
  caller: Caller,
  operations: readonly SimpleOperation[],
): OperationResult {
  const results: OperationResult[] = []
  let aborted: OperationResult | undefined
  state.atomically(() => {
    for (const [index, operation] of operations.entries()) {
      const result = executeOperation(state, caller, operation)
      if (result.kind === 'refused') {
        aborted = { kind: 'refused', code: 'linked-aborted', detail: result.code, index }
        return false
      }
      results.push(result)
    }
    return true
  })
  return aborted ?? { kind: 'linked', results }
}

/** [NC5] The lane's latest entry as the core keeps it: a lookup's reply is rebuilt from what it found. */
export function laneEntryOf(row: ClientRow): LaneEntry {
  const { client, lane, real, lookup } = row
  if (lookup !== null) return { client, lane, ...lookup, result: lookupResult(real) }
  if (real === null) throw new Error(`client ${client} lane ${lane}: a row without any request`)
  return { client, lane, ...real }
}
