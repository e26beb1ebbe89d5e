import type { LedgerEntry, Message, Partition, PartitionNode } from '../../protocol/messages.ts'
import type {
  Digest,
  Lane,
  LogPosition,
  PrincipalId,
  ReplicaId,
  RequestNumber,
  Seq,
  View,
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

/** [D5] Under which a replica votes, as its last executed RECOVER set it: in views from `view` on. */
export type Incarnation = {
  readonly replica: ReplicaId
  readonly incarnation: number
  readonly view: View
  /** The seq that executed it. */
  readonly seq: Seq
}

/** Where a database stands, as it says itself on a new connection [D4]. */
export type DatabaseState = {
  readonly lastExecuted: Seq
  readonly chain: Digest
  /** The last L executed batches, ascending; none at seq 0. */
  readonly recent: readonly { readonly seq: Seq; readonly batchDigest: Digest }[]
  /** The chain at the highest multiple of K at or below lastExecuted; null below K. */
  readonly checkpoint: { readonly seq: Seq; readonly chain: Digest } | null
  readonly lanes: readonly LaneEntry[]
  /** Of the replicas that ever recovered. */
  readonly incarnations: readonly Incarnation[]
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
      readonly incarnations: readonly Incarnation[]
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
  /**
   * [CP3] The state after `seq` is held: by itself after each multiple of K, durably executed, and on demand. Its root is
   * known; execution went on meanwhile.
   */
  | {
      readonly type: 'checkpoint-taken'
      readonly seq: Seq
      readonly stateRoot: Digest
      readonly chain: Digest
    }
  /** Held states are gone, with the connection that held them; a 'take-checkpoint' under way fails so, too. */
  | { readonly type: 'checkpoints-lost' }
  /** Answers 'read-partitions': as many as fit, in order; null: not held any more. */
  | {
      readonly type: 'partitions-read'
      readonly reader: ReplicaId
      readonly seq: Seq
      readonly nodes: readonly { readonly partition: Partition; readonly node: PartitionNode }[] | null
    }
  /** Answers 'read-history'. */
  | {
      readonly type: 'history-read'
      readonly reader: ReplicaId
      readonly upTo: Seq
      readonly entries: readonly LedgerEntry[]
    }
  /** Answers 'begin-transfer': what differs from the target; `history`: the chain at its seq is not there. */
  | {
      readonly type: 'transfer-begun'
      readonly seq: Seq
      readonly partitions: readonly Partition[]
      readonly history: boolean
    }
  /** Answers 'stage-partition': the children of the node that differ and must be fetched. */
  | { readonly type: 'partition-staged'; readonly partition: Partition; readonly wants: readonly Partition[] }
  /** Answers 'stage-history': whether it now reaches down to what is here. */
  | { readonly type: 'history-staged'; readonly lowest: Seq; readonly isComplete: boolean }
  /** Answers 'install-transfer': the database holds the target, durably. `repaired`: rows that were wrong [CP6]. */
  | {
      readonly type: 'state-installed'
      readonly database: DatabaseState
      readonly repaired: readonly RowMismatch[]
    }
  /** [CP6] Rows that were changed behind this replica's back. */
  | { readonly type: 'rows-mismatched'; readonly rows: readonly RowMismatch[] }

/** [CP6] `column` null: the row is missing, or should not be there. */
export type RowMismatch = {
  readonly table: string
  readonly key: string
  readonly column: string | null
  readonly expected: string | null
  readonly found: string | null
}
