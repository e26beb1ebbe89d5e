import type { Message } from '../../protocol/messages.ts'
import type {
  Digest,
  Lane,
  LogPosition,
  PrincipalId,
  ReplicaId,
  RequestNumber,
  Seq,
} from '../../protocol/types.ts'
import type { CheckId, TimerName } from './effect.ts'
import type { CommittedEntry } from './vote-record.ts'

/** What the last executed request of a (client, lane) left [NC5]. */
export type LaneEntry = {
  readonly client: PrincipalId
  readonly lane: Lane
  readonly number: RequestNumber
  readonly requestDigest: Digest
  readonly result: Uint8Array
}

/** Where a database stands, as it says itself on a new connection [D4]. */
export type DatabaseState = {
  readonly lastExecuted: Seq
  readonly chain: Digest
  /** Of the batch at lastExecuted; null at seq 0. */
  readonly batchDigest: Digest | null
  /** The chain at the highest multiple of K at or below lastExecuted; null below K. */
  readonly checkpoint: { readonly seq: Seq; readonly chain: Digest } | null
  readonly lanes: readonly LaneEntry[]
}

export type Event =
  /** The first event of a process. */
  | { readonly type: 'start' }
  /** Decoded; `from` is who the channel says it is. Signatures inside are not verified yet. */
  | { readonly type: 'message'; readonly from: PrincipalId; readonly message: Message }
  /** Answers a 'verify': one verdict for each of its claims. */
  | { readonly type: 'verified'; readonly check: CheckId; readonly valid: readonly boolean[] }
  | { readonly type: 'timeout'; readonly timer: TimerName }
  /** Every record up to this position is on the disk. */
  | { readonly type: 'persisted'; readonly upTo: LogPosition }
  /** The batch at `seq` is visible in the database. */
  | {
      readonly type: 'executed'
      readonly seq: Seq
      readonly chain: Digest
      readonly lanes: readonly LaneEntry[]
    }
  /** Answers a 'read-committed': consecutive entries behind its `after`, fewer or none where the log ends. */
  | {
      readonly type: 'committed-read'
      readonly reader: ReplicaId
      readonly entries: readonly CommittedEntry[]
    }
  | { readonly type: 'session-up' | 'session-down'; readonly peer: PrincipalId }
  /** A new connection to the database, after one was lost. */
  | { readonly type: 'database-connected'; readonly database: DatabaseState }
