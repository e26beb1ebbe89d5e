import type { LedgerEntry, Partition, PartitionNode } from '../protocol/messages.ts'
import type { AccountId, ReadValue } from '../protocol/operations.ts'
import type { Digest, Seq } from '../protocol/types.ts'
import {
  MemoryDatabase,
  type Nodes,
  type WantedHistory,
  type WantedPartitions,
} from './memory/memory-database.ts'
import type { ChainRow } from './rows.ts'
import type { BatchAt, Connected, Executed, Position, RowMismatch, Store, TransferTarget } from './store.ts'

export type { AllRows } from './memory/tables.ts'

/** The store of the simulator and of tests: the synchronous methods are its database's, the `Store` methods wrap them. */
export class MemoryStore extends MemoryDatabase implements Store {
  async connect(): Promise<Connected> {
    return this.connectSync()
  }

  async execute(
    run: readonly BatchAt[],
    options: { readonly durable: boolean },
  ): Promise<readonly Executed[]> {
    return this.executeSync(run, options)
  }

  async read(
    accounts: readonly AccountId[],
  ): Promise<{ readonly lastExecuted: Seq; readonly values: readonly ReadValue[] }> {
    return this.readSync(accounts)
  }

  async chainAt(seq: Seq): Promise<ChainRow | undefined> {
    return this.chainAtSync(seq)
  }

  async takeCheckpoint(): Promise<Position & { readonly stateRoot: Promise<Digest> }> {
    const { stateRoot, ...position } = this.takeCheckpointSync()
    return { ...position, stateRoot: Promise.resolve(stateRoot) }
  }

  async readPartitions(seq: Seq, want: WantedPartitions): Promise<Nodes | undefined> {
    return this.readPartitionsSync(seq, want)
  }

  async readHistory(want: WantedHistory): Promise<readonly LedgerEntry[]> {
    return this.readHistorySync(want)
  }

  async beginTransfer(
    target: TransferTarget,
    options: { readonly rescan: boolean },
  ): Promise<{ readonly partitions: readonly Partition[]; readonly history: boolean }> {
    return this.beginTransferSync(target, options)
  }

  async stagePartition(partition: Partition, node: PartitionNode): Promise<readonly Partition[]> {
    return this.stagePartitionSync(partition, node)
  }

  async stageHistory(entries: readonly LedgerEntry[]): Promise<boolean> {
    return this.stageHistorySync(entries)
  }

  async installTransfer(): Promise<Connected & { readonly repaired: readonly RowMismatch[] }> {
    return this.installTransferSync()
  }

  async cancelTransfer(): Promise<void> {
    this.cancelTransferSync()
  }

  async scrub(options: {
    readonly share: number
  }): Promise<{ readonly mismatches: Promise<readonly RowMismatch[]> }> {
    return { mismatches: Promise.resolve(this.scrubSync(options)) }
  }

  async close(): Promise<void> {
    this.closeSync()
  }
}
