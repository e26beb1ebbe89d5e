import type { RefusalCode, RequestName } from '../protocol/operations.ts'
import { formatRequestName } from '../protocol/operations.ts'
import type { ReplicaId } from '../protocol/types.ts'

/** Everything that a call of this client can fail with. `code` is stable; the message is for people. */
export abstract class ClientError extends Error {
  abstract readonly code: string
}

/** Wrong before anything was sent: an amount, an account name, a request name. */
export class InvalidArgumentError extends ClientError {
  override name = 'InvalidArgumentError'
  readonly code = 'invalid-argument'
}

/** The bank's own answer, the same at every replica: it was ordered, and nothing changed. */
export class RefusedError extends ClientError {
  override name = 'RefusedError'
  readonly code: RefusalCode
  /** What was refused: an account, an amount. */
  readonly detail: string
  /** In a linked group: the operation that was refused, from 0. */
  readonly index: number | undefined

  constructor(refusal: {
    readonly code: RefusalCode
    readonly detail: string
    readonly index?: number | undefined
  }) {
    const where = refusal.index === undefined ? '' : ` (operation ${refusal.index + 1} of the group)`
    super(`${refusal.code}${refusal.detail === '' ? '' : `: ${refusal.detail}`}${where}`)
    this.code = refusal.code
    this.detail = refusal.detail
    this.index = refusal.index
  }
}

/** Too much is waiting already; certainly not executed. */
export class OverloadedError extends ClientError {
  override name = 'OverloadedError'
  readonly code = 'overloaded'
}

/** Why a call went without an answer. */
export type Unanswered = 'deadline' | 'closed' | 'superseded'

const BECAUSE: Record<Unanswered, string> = {
  deadline: 'no quorum answered before the deadline',
  closed: 'the client was closed',
  superseded: 'another process uses the same client key on the same lane',
}

/** The operations never left this process: certainly not executed. */
export class NotSentError extends ClientError {
  override name = 'NotSentError'
  readonly code = 'not-sent'

  constructor(why: Unanswered) {
    super(`not executed, nothing was sent: ${BECAUSE[why]}`)
  }
}

/** A call's share of its request: concurrent calls travel as one [NC1]. Results `offset` to `offset + count - 1`. */
export type RequestSlice = { readonly offset: number; readonly count: number }

/** Executed or not: nobody can tell yet. `lookup(error)` finds out later. */
export class IndeterminateError extends ClientError {
  override name = 'IndeterminateError'
  readonly code = 'indeterminate'
  readonly request: RequestName
  readonly slice: RequestSlice
  readonly why: Unanswered

  constructor(request: RequestName, slice: RequestSlice, why: Unanswered) {
    super(
      `cannot tell whether it was executed: ${BECAUSE[why]}; ask later: lookup ${formatRequestName(request)}`,
    )
    this.request = request
    this.slice = slice
    this.why = why
  }
}

/** A read or a lookup that got no answer; nothing was changed. */
export class UnavailableError extends ClientError {
  override name = 'UnavailableError'
  readonly code = 'unavailable'

  constructor(what: string, why: Unanswered) {
    super(`${what}: ${BECAUSE[why]}`)
  }
}

/** Too few replicas answered the handshake. */
export class NoQuorumError extends ClientError {
  override name = 'NoQuorumError'
  readonly code = 'no-quorum'
  readonly answered: readonly ReplicaId[]

  constructor(facts: {
    readonly answered: readonly ReplicaId[]
    readonly replicas: number
    readonly quorum: number
    readonly waitedMs: number
  }) {
    const { answered, replicas, quorum, waitedMs } = facts
    const who = answered.length === 0 ? 'none' : answered.join(', ')
    super(
      `no quorum: within ${waitedMs} ms ${answered.length} of ${replicas} replicas answered (${who}), ` +
        `${quorum} are needed. Are they running, and is cluster.json the running cluster's?`,
    )
    this.answered = answered
  }
}

/** A quorum agreed on an answer that this version cannot read. */
export class ProtocolError extends ClientError {
  override name = 'ProtocolError'
  readonly code = 'protocol'
}
