import type { Message, Read, Request } from '../protocol/messages.ts'
import type { OperationResult, ReadValue, RequestName } from '../protocol/operations.ts'
import type { PrincipalId, ReplicaId } from '../protocol/types.ts'
import type { ClientError, RequestSlice } from './errors.ts'

declare const brand: unique symbol
/** One call of submit, read or lookup. */
export type CallId = number & { readonly [brand]: 'CallId' }

/** Setting a timer that is set replaces it. */
export type TimerName = 'deadline' | `lane:${number}` | `read:${number}`

export type Clock = {
  /** Monotonic; deadlines are on it. */
  readonly nowMs: number
  /** Microseconds since 1970: request numbers start there, so that they survive a restart without a file [NC5]. */
  readonly wallClockUs: number
}

export type ClientEvent =
  | { readonly type: 'message'; readonly from: PrincipalId; readonly message: Message }
  | { readonly type: 'timeout'; readonly timer: TimerName }
  | { readonly type: 'session-up' | 'session-down'; readonly peer: PrincipalId }

/** What became of a request whose answer did not come in time. */
export type RequestOutcome =
  /** All results of the request, of every call that travelled in it. */
  | { readonly kind: 'executed'; readonly results: readonly OperationResult[] }
  /** Not executed, and fenced: it never will be. */
  | { readonly kind: 'not-executed' }
  /** A later request of the lane has replaced the entry that would tell. */
  | { readonly kind: 'unknown' }

/** Which request a call travelled in, and which part of it is the call's. */
export type Travelled = { readonly request: RequestName; readonly slice: RequestSlice }

export type Answer =
  | {
      readonly kind: 'results'
      readonly results: readonly OperationResult[]
      readonly travelled: Travelled
    }
  /** `travelled` is null of a quorum read, which is no request [NC7]. */
  | {
      readonly kind: 'values'
      readonly values: readonly ReadValue[]
      readonly travelled: Travelled | null
    }
  | { readonly kind: 'outcome'; readonly outcome: RequestOutcome }

export type Observation =
  | { readonly kind: 'request-sent'; readonly name: RequestName; readonly operations: number }
  | { readonly kind: 'request-resent'; readonly name: RequestName; readonly sends: number }
  | { readonly kind: 'request-superseded'; readonly name: RequestName }
  | { readonly kind: 'request-settled'; readonly name: RequestName; readonly outcome: RequestOutcome['kind'] }
  | { readonly kind: 'read-sent'; readonly accounts: number }
  /** Answers disagreed or were missing, twice: it goes as an ordered request. */
  | { readonly kind: 'read-ordered'; readonly accounts: number }
  /** A quorum agreed on something else than these replicas said. */
  | { readonly kind: 'dissent'; readonly replicas: readonly ReplicaId[] }

export type ClientEffect =
  | { readonly type: 'send'; readonly to: readonly ReplicaId[]; readonly message: Request | Read }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly type: 'stop-timer'; readonly timer: TimerName }
  | { readonly type: 'resolve'; readonly call: CallId; readonly answer: Answer }
  | { readonly type: 'reject'; readonly call: CallId; readonly error: ClientError }
  | { readonly type: 'observe'; readonly what: Observation }
