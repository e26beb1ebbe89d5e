import type { Batch } from '../protocol/messages.ts'
import type { AccountId, ReadValue } from '../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, RequestNumber, Seq } from '../protocol/types.ts'

/** What the last executed request of a (client, lane) left [NC5]. */
export type LaneEntry = {
  readonly client: PrincipalId
  readonly lane: Lane
  /** The highest number executed on the lane, lookups included. */
  readonly number: RequestNumber
  readonly requestDigest: Digest
  readonly result: Uint8Array
}

export type Position = { readonly lastExecuted: Seq; readonly chain: Digest }

/**
 * What executing one batch did: its place in the chain [NC9] and the lanes it moved, in the batch's order. One entry
 * per executed request, several of a lane included; a request that its lane was beyond has none.
 */
export type Executed = {
  readonly seq: Seq
  readonly chain: Digest
  readonly lanes: readonly LaneEntry[]
}

export type BatchAt = { readonly seq: Seq; readonly batch: Batch }

/**
 * One replica's database. Every call may fail with a `StoreError`: after 'unavailable' and 'reconcile', connect()
 * again; every other code stops the replica. A failed call leaves the store disconnected, unless the caller broke the
 * order of runs.
 */
export interface Store {
  /**
   * Takes the advisory lock and raises the epoch [D3]; applies migrations and genesis when empty. The lanes are all
   * there are, ordered by client and lane.
   */
  connect(): Promise<Position & { readonly lanes: readonly LaneEntry[] }>
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
   * Needs a person: a constraint, a row that was changed behind the replica's back [CP6], a missing table, a refused
   * password. Stops the replica.
   */
  | 'broken'

export class StoreError extends Error {
  readonly code: StoreErrorCode
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
  }
}
