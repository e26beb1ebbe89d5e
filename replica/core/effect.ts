import type {
  Batch,
  Evidence,
  LedgerEntry,
  Message,
  Partition,
  PartitionNode,
  Statement,
} from '../../protocol/messages.ts'
import type { AccountId } from '../../protocol/operations.ts'
import type { Digest, LogPosition, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { RowMismatch } from './event.ts'
import type { VoteRecord } from './vote-record.ts'

export type CheckId = number & { readonly __check: true }
/**
 * 'view-change': NC8's and VC4's one length T. 'transfer': a source of state that brings nothing. Setting a timer that
 * runs replaces it.
 */
export type TimerName = 'status' | 'view-change' | 'transfer'

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
  /** [CP3] Hold the state after the last run, beside those at multiples of K, which are held without being asked for. */
  | { readonly type: 'take-checkpoint' }
  /** Let go of every held state but these, some of which are still being taken. */
  | { readonly type: 'keep-checkpoints'; readonly seqs: readonly Seq[] }
  /** [CP1] Nothing at or below `upTo` is needed from the vote log any more. */
  | { readonly type: 'collect-garbage'; readonly upTo: Seq }
  /** [CP4] Of the held state at `seq`, up to `bytesMax` of nodes (at least one). */
  | {
      readonly type: 'read-partitions'
      readonly reader: ReplicaId
      readonly seq: Seq
      readonly partitions: readonly Partition[]
      readonly bytesMax: number
    }
  | {
      readonly type: 'read-history'
      readonly reader: ReplicaId
      readonly upTo: Seq
      readonly bytesMax: number
    }
  /**
   * [CP4] From here to 'state-installed' or 'cancel-transfer' nothing is executed. Again with a newer target: what was
   * staged and is still right is kept. `rescan`: the rows here are not to be trusted, and are read again [CP6].
   */
  | {
      readonly type: 'begin-transfer'
      readonly seq: Seq
      readonly stateRoot: Digest
      readonly chain: Digest
      readonly rescan: boolean
    }
  /** Verified against the target by the core. */
  | { readonly type: 'stage-partition'; readonly partition: Partition; readonly node: PartitionNode }
  /** Newest first, consecutive, verified down from the target's chain. */
  | { readonly type: 'stage-history'; readonly entries: readonly LedgerEntry[] }
  | { readonly type: 'install-transfer' }
  | { readonly type: 'cancel-transfer' }
  /** [EV3] To be kept over restarts, and given to the next `recover`; at most one for each accused. */
  | { readonly type: 'keep-evidence'; readonly evidence: Evidence }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly type: 'stop-timer'; readonly timer: TimerName }
  | { readonly type: 'observe'; readonly what: Observation }
  /** This replica must stop: going on could break what it promised. */
  | { readonly type: 'halt'; readonly fault: Fault }

export type Fault = {
  readonly code: 'diverged' | 'database-contradicts-log' | 'conflicting-commit' | 'too-many-amnesiacs'
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
  | 'amnesiac'
  | 'superseded-view'

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
  /** [VC1] [VC2] This replica gave a view up, and entered one with an O of so many entries. */
  | { readonly kind: 'view-change-started'; readonly view: View; readonly prepared: number }
  | {
      readonly kind: 'view-entered'
      readonly view: View
      readonly reordered: number
      readonly nulls: number
    }
  /** [NC10] The primary of this view is given up for its pace: so long a request may wait here to be ordered. */
  | { readonly kind: 'primary-too-slow'; readonly view: View; readonly allowedMs: number }
  /** [VC5] A batch that O named came by its digest. */
  | { readonly kind: 'body-fetched'; readonly seq: Seq; readonly digest: Digest }
  /** [CP4] */
  | { readonly kind: 'transfer-started' | 'transfer-moved' | 'transfer-installed'; readonly seq: Seq }
  | { readonly kind: 'transfer-source-replaced'; readonly source: ReplicaId }
  /** [CP6] */
  | { readonly kind: 'tampered' | 'repaired'; readonly rows: readonly RowMismatch[] }
  /** [D5] */
  | { readonly kind: 'amnesiac-recovering' | 'amnesiac-votes-again'; readonly incarnation: number }
  /** [EV3] Verified here, and new. */
  | { readonly kind: 'evidence'; readonly evidence: Evidence }
  | { readonly kind: 'rejected'; readonly code: RejectionCode; readonly from: PrincipalId }
