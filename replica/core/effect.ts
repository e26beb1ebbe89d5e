import type { Batch, Message, Statement } from '../../protocol/messages.ts'
import type { AccountId } from '../../protocol/operations.ts'
import type { Digest, LogPosition, PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import type { VoteRecord } from './vote-record.ts'

export type CheckId = number & { readonly __check: true }
export type TimerName = 'status'

/** A statement that somebody is said to have signed. */
export type Claim = { readonly statement: Statement; readonly signature: Uint8Array }

export type Effect =
  /** `sync`: something waits until this is durable. Positions rise by one. */
  | {
      readonly type: 'persist'
      readonly position: LogPosition
      readonly record: VoteRecord
      readonly sync: boolean
    }
  /** Not before `after` is durable [D1]. */
  | {
      readonly type: 'send'
      readonly to: readonly PrincipalId[]
      readonly message: Message
      readonly after?: LogPosition
    }
  | { readonly type: 'verify'; readonly check: CheckId; readonly claims: readonly Claim[] }
  /** In order of seq, without gaps. */
  | { readonly type: 'execute'; readonly seq: Seq; readonly batch: Batch }
  /** Answer a quorum read from a snapshot that shows `atLeast` or more [NC7] [D4]. */
  | {
      readonly type: 'read-state'
      readonly to: PrincipalId
      readonly nonce: number
      readonly accounts: readonly AccountId[]
      readonly atLeast: Seq
    }
  /** Read committed batches behind `after` from the vote log, up to `bytesMax` of bodies (at least one). */
  | {
      readonly type: 'read-committed'
      readonly reader: ReplicaId
      readonly after: Seq
      readonly upTo: Seq
      readonly bytesMax: number
    }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly type: 'observe'; readonly what: Observation }
  /** This replica must stop: going on could break what it promised. */
  | { readonly type: 'halt'; readonly fault: Fault }

export type Fault = {
  readonly code: 'diverged' | 'database-contradicts-log' | 'conflicting-commit'
  readonly seq: Seq
  /** For the operator: what contradicts what. */
  readonly detail: string
}

/** Why a peer's message was not taken: counted, never a throw. */
export type RejectionCode =
  | 'other-view'
  | 'not-primary'
  | 'outside-window'
  | 'wrong-digest'
  | 'conflicting'
  | 'bad-signature'
  | 'not-admitted'
  | 'out-of-bounds'
  | 'not-own-vote'
  | 'unexpected-type'
  | 'rate-limited'

export type Observation =
  | { readonly kind: 'proposed'; readonly seq: Seq; readonly operations: number }
  | { readonly kind: 'accepted' | 'prepared'; readonly seq: Seq; readonly digest: Digest }
  | {
      readonly kind: 'committed'
      readonly seq: Seq
      readonly digest: Digest
      readonly how: 'votes' | 'proof' | 'words' | 'log'
    }
  | { readonly kind: 'executed'; readonly seq: Seq; readonly chain: Digest }
  | { readonly kind: 'stable'; readonly seq: Seq }
  | { readonly kind: 'caught-up'; readonly seq: Seq }
  | { readonly kind: 'rejected'; readonly code: RejectionCode; readonly from: PrincipalId }
