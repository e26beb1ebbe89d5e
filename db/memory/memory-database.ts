import type { Genesis } from '../../protocol/config.ts'
import type { LedgerEntry, Partition, PartitionNode } from '../../protocol/messages.ts'
import type { AccountId, ReadValue } from '../../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, Seq } from '../../protocol/types.ts'
import { isReplica } from '../../protocol/types.ts'
import { checkRun } from '../check-run.ts'
import type { TableName, Tables } from '../columns.ts'
import { genesisRows } from '../genesis-rows.ts'
import type { AccountRow, ChainRow, ClientRow, PrincipalRow, TransferRow } from '../rows.ts'
import { applyRun, laneEntryOf } from '../state-machine/apply.ts'
import { ledgerEntryOf, rowsOfEntry } from '../state-machine/ledger-entry.ts'
import type { HistoryQuery, RowSource } from '../state-machine/run-state.ts'
import { ROOT } from '../state-tree/place.ts'
import { repairedHistory, repairedRow } from '../state-tree/repair.ts'
import type { StateRow } from '../state-tree/state-row.ts'
import { StateTree } from '../state-tree/state-tree.ts'
import type {
  BatchAt,
  Connected,
  Executed,
  Incarnation,
  Position,
  RowMismatch,
  TransferTarget,
} from '../store.ts'
import { StoreError } from '../store.ts'
import { HeldState } from './held-state.ts'
import { type HistoryHere, IncomingState } from './incoming.ts'
import { Scrub } from './scrub.ts'
import { type AllRows, MemoryTables } from './tables.ts'

/** Takes back one committed run. */
type Undo = { readonly before: Position; readonly undo: () => void }

export type Nodes = readonly { readonly partition: Partition; readonly node: PartitionNode }[]
export type WantedPartitions = { readonly partitions: readonly Partition[]; readonly bytesMax: number }
export type WantedHistory = { readonly upTo: Seq; readonly bytesMax: number }

/**
 * Postgres' semantics, without Postgres and without waiting. Rows survive `closeSync` and `crash`, as a server's disk
 * would; held checkpoints and what a transfer staged do not.
 */
export class MemoryDatabase implements RowSource {
  readonly #genesis: Genesis
  #tables: MemoryTables
  #position: Position
  #connected = false
  /** Runs since the last durable one, oldest first: what a crash may lose [D4]. */
  #undoable: Undo[] = []
  /** Of the rows as this store wrote them, up to the last call that asked for it. */
  #tree = StateTree.empty
  #held = new Map<Seq, HeldState>()
  #incoming: IncomingState | null = null
  #scrub = new Scrub()
  /** [CP6] The lowest seq whose history was found damaged. */
  #damagedFrom: number | null = null

  constructor({ genesis }: { readonly genesis: Genesis }) {
    this.#genesis = genesis
    this.#tables = new MemoryTables(genesisRows(genesis))
    this.#position = { lastExecuted: 0 as Seq, chain: genesis.digest }
  }

  connectSync(): Connected {
    this.#disconnect()
    this.#connected = true
    this.#tables.acceptTampered()
    return this.#connectedState()
  }

  executeSync(run: readonly BatchAt[], { durable }: { readonly durable: boolean }): readonly Executed[] {
    this.#checkConnected()
    if (this.#incoming !== null) throw new StoreError('broken', 'execute: a transfer is under way')
    const { lanesPerClientMax, checkpointInterval } = this.#genesis.parameters
    checkRun(run, this.#position, checkpointInterval)
    const before = this.#position
    const source = this.#tables
    const outcome = applyRun({ source, position: before, run, parameters: { lanesPerClientMax } })
    const tampered = source.tamperedBefore(outcome.changes)
    if (tampered.length > 0) {
      throw new StoreError('tampered', 'rows were changed behind the replica’s back', { rows: tampered })
    }
    const undo = source.commit(outcome.changes)
    this.#position = outcome.position
    if (durable) this.#undoable = []
    else if (run.length > 0) this.#undoable.push({ before, undo })
    return outcome.executed
  }

  readSync(accounts: readonly AccountId[]): {
    readonly lastExecuted: Seq
    readonly values: readonly ReadValue[]
  } {
    this.#checkConnected()
    const values = accounts.map((account): ReadValue => {
      const row = this.#tables.account(account)
      return { account, balance: row?.balance ?? null, version: row?.version ?? (0 as Seq) }
    })
    return { lastExecuted: this.#position.lastExecuted, values }
  }

  chainAtSync(seq: Seq): ChainRow | undefined {
    this.#checkConnected()
    return this.#tables.chainRow(seq)
  }

  takeCheckpointSync(): Position & { readonly stateRoot: Digest } {
    this.#checkConnected()
    const tree = this.#refreshedTree()
    const tables = this.#tables
    const rows = tables.stateRows()
    const placeOf = (row: StateRow) => tables.markOf(row).place
    this.#held.set(this.#position.lastExecuted, new HeldState({ tree, rows, placeOf }))
    return { ...this.#position, stateRoot: tree.root }
  }

  keepCheckpoints(seqs: readonly Seq[]): void {
    for (const seq of [...this.#held.keys()]) if (!seqs.includes(seq)) this.#held.delete(seq)
  }

  readPartitionsSync(seq: Seq, want: WantedPartitions): Nodes | undefined {
    this.#checkConnected()
    return this.#held.get(seq)?.read(want)
  }

  readHistorySync({ upTo, bytesMax }: WantedHistory): readonly LedgerEntry[] {
    this.#checkConnected()
    const entries: LedgerEntry[] = []
    let bytes = 0
    for (let seq: number = upTo; seq >= 1; seq--) {
      const row = this.#tables.chainRow(seq)
      const previous = this.#chainBelow(seq)
      if (row === undefined || previous === undefined) break
      const entry = ledgerEntryOf({ row, previous, transfers: this.#tables.transfersAt(seq) })
      bytes += ENTRY_BYTES + entry.transfers.length
      if (bytes > bytesMax && entries.length > 0) break
      entries.push(entry)
    }
    return entries
  }

  beginTransferSync(
    target: TransferTarget,
    { rescan }: { readonly rescan: boolean },
  ): { readonly partitions: readonly Partition[]; readonly history: boolean } {
    this.#checkConnected()
    if (rescan) {
      this.#tables.acceptTampered()
      this.#noteDamage(new Scrub().history(this.#tables, this.#historyExtent(), 1))
    }
    const tree = this.#refreshedTree()
    if (this.#incoming === null) this.#incoming = new IncomingState(target, tree)
    else this.#incoming.moveTo(target, tree)
    return {
      partitions: this.#incoming.isStateComplete ? [] : [ROOT],
      history: this.#lacksHistoryOf(target),
    }
  }

  stagePartitionSync(partition: Partition, node: PartitionNode): readonly Partition[] {
    return this.#transfer().stagePartition(partition, node)
  }

  stageHistorySync(entries: readonly LedgerEntry[]): boolean {
    return this.#transfer().stageHistory(entries, this.#historyHere())
  }

  installTransferSync(): Connected & { readonly repaired: readonly RowMismatch[] } {
    const incoming = this.#transfer()
    const { target } = incoming
    const changes = incoming.changes()
    const suffix = this.#lacksHistoryOf(target) ? incoming.history(this.#historyHere()) : []
    const repaired = [...this.#installRows(changes, target), ...this.#installHistory(suffix, target)]
    this.#position = { lastExecuted: target.seq, chain: target.chain }
    this.#undoable = []
    this.#incoming = null
    this.#damagedFrom = null
    if (this.#refreshedTree().root !== target.stateRoot) throw new Error('installed rows of another root')
    return { ...this.#connectedState(), repaired }
  }

  cancelTransferSync(): void {
    this.#incoming = null
  }

  scrubSync({ share }: { readonly share: number }): readonly RowMismatch[] {
    this.#checkConnected()
    const history = this.#scrub.history(this.#tables, this.#historyExtent(), share)
    this.#noteDamage(history)
    return [...this.#scrub.rows(this.#tables, this.#refreshedTree(), share), ...history]
  }

  /**
   * A crash of the database: the connection is gone, and with it the committed runs that end above `keepUpToSeq`,
   * down to the last durable one at most. Returns where the database stands now.
   */
  crash(keepUpToSeq: Seq): Position {
    this.#disconnect()
    while (this.#position.lastExecuted > keepUpToSeq) {
      const last = this.#undoable.pop()
      if (last === undefined) break
      last.undo()
      this.#position = last.before
    }
    if (this.#damagedFrom !== null && this.#damagedFrom > this.#position.lastExecuted)
      this.#damagedFrom = null
    return this.#position
  }

  /** The database is lost, and an empty one in its place. */
  wipe(): void {
    this.#disconnect()
    this.#tables = new MemoryTables(genesisRows(this.#genesis))
    this.#position = { lastExecuted: 0 as Seq, chain: this.#genesis.digest }
    this.#undoable = []
    this.#tree = StateTree.empty
    this.#scrub = new Scrub()
    this.#damagedFrom = null
  }

  /** [CP6] Somebody changes, removes or adds a row by hand; `key` as a `RowMismatch` names it. */
  tamper<T extends TableName>(
    table: T,
    key: string,
    change: (row: Tables[T] | undefined) => Tables[T] | undefined,
  ): void {
    this.#tables.tamper(table, key, change)
  }

  /** What no crash can take back. */
  get durableSeq(): Seq {
    return this.#undoable[0]?.before.lastExecuted ?? this.#position.lastExecuted
  }

  get position(): Position {
    return this.#position
  }

  /** Always 0: every operation is a transfer between two accounts. */
  sumOfBalances(): bigint {
    return this.#tables.sumOfBalances
  }

  allRows(): AllRows {
    return this.#tables.allRows()
  }

  account(id: AccountId): AccountRow | undefined {
    return this.#tables.account(id)
  }

  clientRow(client: PrincipalId, lane: Lane): ClientRow | undefined {
    return this.#tables.clientRow(client, lane)
  }

  principal(id: PrincipalId): PrincipalRow | undefined {
    return this.#tables.principal(id)
  }

  history(query: HistoryQuery): readonly TransferRow[] {
    return this.#tables.history(query)
  }

  closeSync(): void {
    this.#disconnect()
  }

  #disconnect(): void {
    this.#connected = false
    this.#held = new Map()
    this.#incoming = null
  }

  #checkConnected(): void {
    if (!this.#connected) throw new StoreError('unavailable', 'the database is not connected')
  }

  #transfer(): IncomingState {
    this.#checkConnected()
    if (this.#incoming === null) throw new StoreError('broken', 'no transfer is under way')
    return this.#incoming
  }

  #refreshedTree(): StateTree {
    this.#tree = this.#tree.changed(this.#tables.takeWritten())
    return this.#tree
  }

  #connectedState(): Connected {
    const tables = this.#tables
    return {
      ...this.#position,
      lanes: tables.clients().map(laneEntryOf),
      incarnations: tables.principals().flatMap(incarnationOf),
    }
  }

  /** c_(seq - 1). */
  #chainBelow(seq: number): Digest | undefined {
    return seq === 1 ? this.#genesis.digest : this.#tables.chainRow(seq - 1)?.chain
  }

  #historyExtent(): { readonly genesis: Digest; readonly lastExecuted: Seq } {
    return { genesis: this.#genesis.digest, lastExecuted: this.#position.lastExecuted }
  }

  #historyHere(): HistoryHere {
    return { chainAt: (seq) => this.#chainBelow(seq + 1), damagedFrom: this.#damagedFrom }
  }

  #lacksHistoryOf({ seq, chain }: TransferTarget): boolean {
    return this.#chainBelow(seq + 1) !== chain || (this.#damagedFrom !== null && this.#damagedFrom <= seq)
  }

  #noteDamage(history: readonly RowMismatch[]): void {
    for (const { key } of history) this.#damagedFrom = Math.min(Number(key), this.#damagedFrom ?? Number(key))
  }

  #installRows(changes: ReturnType<IncomingState['changes']>, target: TransferTarget): RowMismatch[] {
    const tables = this.#tables
    const here = new Map(tables.stateRows().map((row) => [tables.markOf(row).place, row]))
    return changes.flatMap(({ change, row: there }) => {
      const before = here.get(change.place)
      const present = there ?? before
      if (present === undefined) throw new Error('a change of a row that is neither here nor there')
      if (there === undefined) tables.remove(present)
      else tables.put(there)
      return repairedRow(present.table, {
        here: before?.row,
        there: there?.row,
        executed: this.#position.lastExecuted,
        target: target.seq,
      })
    })
  }

  #installHistory(suffix: readonly LedgerEntry[], target: TransferTarget): RowMismatch[] {
    const tables = this.#tables
    const entries = suffix.map(rowsOfEntry)
    const repaired = entries
      .filter(({ row }) => row.seq <= this.#position.lastExecuted)
      .flatMap((there) => {
        const { seq } = there.row
        return repairedHistory({ row: tables.chainRow(seq), transfers: tables.transfersAt(seq) }, there)
      })
    tables.replaceHistory(entries[0]?.row.seq ?? target.seq + 1, entries)
    return repaired
  }
}

/** Of an entry on the wire, beside its transfers. */
const ENTRY_BYTES = 8 + 3 * 32

function incarnationOf({ id, incarnation, incarnationView, version }: PrincipalRow): Incarnation[] {
  if (!isReplica(id) || incarnation === 0) return []
  return [{ replica: id, incarnation, view: incarnationView, seq: version }]
}
