import type { Batch, LedgerEntry, Partition, PartitionNode } from '../protocol/messages.ts'
import type { AccountId, ReadValue } from '../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, ReplicaId, RequestNumber, Seq, View } from '../protocol/types.ts'

/** What the last executed request of a (client, lane) left [NC5]. */
export type LaneEntry = {
  readonly client: PrincipalId
  readonly lane: Lane
  /** The highest number executed on the lane, lookups included. */
  readonly number: RequestNumber
  readonly requestDigest: Digest
  readonly result: Uint8Array
}

/** [D5] What a replica's last RECOVER set, and the seq that executed it. */
export type Incarnation = {
  readonly replica: ReplicaId
  readonly incarnation: number
  readonly view: View
  readonly seq: Seq
}

/** All that a replica needs to know of its database when it starts to use it. */
export type Connected = Position & {
  /** All there are, ordered by client and lane. */
  readonly lanes: readonly LaneEntry[]
  /** Of the replicas that ever recovered, ordered. */
  readonly incarnations: readonly Incarnation[]
}

/** [CP6] A row that is not as this replica left it. `column` null: it is missing, or should not be there. */
export type RowMismatch = {
  readonly table: string
  readonly key: string
  readonly column: string | null
  readonly expected: string | null
  readonly found: string | null
}

export type TransferTarget = { readonly seq: Seq; readonly stateRoot: Digest; readonly chain: Digest }

export type Position = { readonly lastExecuted: Seq; readonly chain: Digest }

/**
 * What executing one batch did: its place in the chain [NC9] and the lanes it moved, in the batch's order. One entry
 * per executed request, several of a lane included; a request that its lane was beyond has none.
 */
export type Executed = {
  readonly seq: Seq
  readonly chain: Digest
  readonly lanes: readonly LaneEntry[]
  /** That this batch set [D5]. */
  readonly incarnations: readonly Incarnation[]
}

export type BatchAt = { readonly seq: Seq; readonly batch: Batch }

/**
 * One replica's database. Every call may fail with a `StoreError`: after 'unavailable' and 'reconcile', connect()
 * again; 'tampered' asks for a transfer; every other code stops the replica. A failed call leaves the store
 * disconnected, unless the code is 'tampered' or the caller broke the order of runs.
 */
export interface Store {
  /**
   * Takes the advisory lock and raises the epoch [D3]; applies migrations and genesis when empty; reads every row once
   * for the partition tree [CP2].
   */
  connect(): Promise<Connected>
  /**
   * Executes a run of consecutive batches, the first at lastExecuted + 1, in one transaction [D3]. `durable` waits
   * for the disk (a run that ends at a multiple of K) [D4]. Rejects with code 'reconcile' when the database is not
   * where this process left it, or the outcome of the COMMIT is unknown: connect again and compare.
   */
  execute(run: readonly BatchAt[], options: { readonly durable: boolean }): Promise<readonly Executed[]>
  /**
   * Balances and row versions, in the order asked, of one snapshot whose lastExecuted is returned with them [NC7]: at
   * least that of every run whose execute() resolved before.
   */
  read(
    accounts: readonly AccountId[],
  ): Promise<{ readonly lastExecuted: Seq; readonly values: readonly ReadValue[] }>
  /** The chain row of `seq`; undefined above lastExecuted and for 0, whose chain is the genesis digest. */
  chainAt(seq: Seq): Promise<ChainRow | undefined>
  /**
   * [CP3] Holds the state after the last run, readable until it is let go of: resolves once the snapshot exists, and
   * only until then must the next run wait. `stateRoot` [CP2] is computed beside execution. Not during a run.
   */
  takeCheckpoint(): Promise<Position & { readonly stateRoot: Promise<Digest> }>
  /** Lets go of every held state but these. */
  keepCheckpoints(seqs: readonly Seq[]): void
  /** [CP4] Nodes of a held state's tree, in the order asked, up to `bytesMax` (at least one); undefined: not held. */
  readPartitions(
    seq: Seq,
    want: { readonly partitions: readonly Partition[]; readonly bytesMax: number },
  ): Promise<readonly { readonly partition: Partition; readonly node: PartitionNode }[] | undefined>
  /** [CP4] From `upTo` (not above lastExecuted) downwards, newest first, up to `bytesMax` (at least one). */
  readHistory(want: { readonly upTo: Seq; readonly bytesMax: number }): Promise<readonly LedgerEntry[]>
  /**
   * [CP4] Starts towards `target`, or moves to it: staged partitions that it still has are kept. Returns what differs
   * from it here, and whether the chain at its seq is missing or another, or history at or below it is known to be
   * damaged. `rescan`: the tree is read anew from the rows, which were changed behind the replica's back [CP6]. Nothing
   * is executed until the transfer is installed or cancelled.
   */
  beginTransfer(
    target: TransferTarget,
    options: { readonly rescan: boolean },
  ): Promise<{ readonly partitions: readonly Partition[]; readonly history: boolean }>
  /** A verified node of the target's tree. Returns which of its children differ here and are not staged. */
  stagePartition(partition: Partition, node: PartitionNode): Promise<readonly Partition[]>
  /**
   * Verified entries, newest first, consecutive. Returns whether they reach down, over others that were staged before,
   * to a chain that is the one here, with no damage above it.
   */
  stageHistory(entries: readonly LedgerEntry[]): Promise<boolean>
  /**
   * Puts what is staged in place, in one synchronous transaction; the store then stands at the target. `repaired`: rows
   * that no execution since the last run explains.
   */
  installTransfer(): Promise<Connected & { readonly repaired: readonly RowMismatch[] }>
  cancelTransfer(): Promise<void>
  /**
   * [CP6] Reads some rows and some history again, the next in turn, and compares them with the tree and the chain:
   * resolves once the snapshot for it exists, and only until then must the next run wait. `share` is the part of all
   * that is read (0 to 1). Of a changed row no more is known than its digest, which is then the `column`; of a missing
   * one its path, which is the `key` in the `table` 'partition'; of changed transfers their seq. Installing names what
   * it repairs. Not during a run, nor while another scrub reads.
   */
  scrub(options: {
    readonly share: number
  }): Promise<{ readonly mismatches: Promise<readonly RowMismatch[]> }>
  close(): Promise<void>
}

/** [NC9] One row per seq. */
export type ChainRow = {
  readonly seq: Seq
  readonly batchDigest: Digest
  readonly repliesDigest: Digest
  readonly transfersDigest: Digest
  readonly chain: Digest
}

export type StoreErrorCode =
  /** Connection refused, lost or reset: reconnect. */
  | 'unavailable'
  /** Connect again and compare positions [D3]. */
  | 'reconcile'
  /** Another process holds this database's advisory lock. */
  | 'locked'
  /** The database belongs to another cluster, another replica, or a newer version of this program. */
  | 'foreign'
  /**
   * [CP6] A run met rows that were changed behind the replica's back. Nothing was executed, and the store stays connected
   * where it was: a transfer with `rescan` repairs them.
   */
  | 'tampered'
  /** Needs a person: a constraint, a missing table, a refused password. Stops the replica. */
  | 'broken'

export class StoreError extends Error {
  readonly code: StoreErrorCode
  /** Of 'tampered': which rows; of other codes none. */
  readonly rows: readonly RowMismatch[]
  constructor(
    code: StoreErrorCode,
    message: string,
    options?: ErrorOptions & { readonly rows?: readonly RowMismatch[] },
  ) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
    this.rows = options?.rows ?? []
  }
}
