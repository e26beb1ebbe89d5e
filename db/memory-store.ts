import type { Genesis } from '../protocol/config.ts'
import type { AccountId, ReadValue } from '../protocol/operations.ts'
import type { Lane, PrincipalId, Seq } from '../protocol/types.ts'
import { checkRun } from './check-run.ts'
import { genesisRows } from './genesis-rows.ts'
import type { AccountRow, ChainRow, ClientRow, CustomerRow, PrincipalRow, TransferRow } from './rows.ts'
import { laneKey } from './rows.ts'
import { applyRun, laneEntryOf } from './state-machine/apply.ts'
import type { Changes, HistoryQuery, RowSource } from './state-machine/run-state.ts'
import type { BatchAt, Executed, LaneEntry, Position, Store } from './store.ts'
import { StoreError } from './store.ts'

/** Every replicated row, each table in the order of its key. */
export type AllRows = {
  readonly accounts: readonly AccountRow[]
  readonly customers: readonly CustomerRow[]
  readonly principals: readonly PrincipalRow[]
  readonly clients: readonly ClientRow[]
  readonly transfers: readonly TransferRow[]
  readonly chain: readonly ChainRow[]
}

/** Takes back one committed run. */
type Undo = { readonly before: Position; readonly undo: () => void }

/**
 * The store of the simulator and of tests: Postgres' semantics, without Postgres. Everything happens inside the
 * synchronous methods; the `Store` methods wrap them. Rows survive `close` and `crash`, as a server's disk would.
 */
export class MemoryStore implements Store, RowSource {
  readonly #genesis: Genesis
  readonly #accounts = new Map<AccountId, AccountRow>()
  readonly #customers = new Map<PrincipalId, CustomerRow>()
  readonly #principals = new Map<PrincipalId, PrincipalRow>()
  readonly #clients = new Map<number, ClientRow>()
  readonly #transfers: TransferRow[] = []
  /** Places in #transfers by account, ascending. */
  readonly #transfersOf = new Map<AccountId, number[]>()
  /** Row of seq n at n - 1. */
  readonly #chain: ChainRow[] = []
  #position: Position
  #sum = 0n
  #connected = false
  /** Runs since the last durable one, oldest first: what a crash may lose [D4]. */
  #undoable: Undo[] = []

  constructor({ genesis }: { readonly genesis: Genesis }) {
    this.#genesis = genesis
    this.#position = { lastExecuted: 0 as Seq, chain: genesis.digest }
    const rows = genesisRows(genesis)
    for (const row of rows.accounts) this.#putAccount(row.id, row)
    for (const row of rows.customers) this.#customers.set(row.owner, row)
    for (const row of rows.principals) this.#principals.set(row.id, row)
  }

  connectSync(): Position & { readonly lanes: readonly LaneEntry[] } {
    this.#connected = true
    return { ...this.#position, lanes: this.allRows().clients.map(laneEntryOf) }
  }

  executeSync(run: readonly BatchAt[], { durable }: { readonly durable: boolean }): readonly Executed[] {
    this.#checkConnected()
    const { lanesPerClientMax, checkpointInterval } = this.#genesis.parameters
    checkRun(run, this.#position, checkpointInterval)
    const before = this.#position
    const outcome = applyRun({ source: this, position: before, run, parameters: { lanesPerClientMax } })
    const undo = this.#commit(outcome.changes)
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
      const row = this.#accounts.get(account)
      return { account, balance: row?.balance ?? null, version: row?.version ?? (0 as Seq) }
    })
    return { lastExecuted: this.#position.lastExecuted, values }
  }

  /**
   * A crash of the database: the connection is gone, and with it the committed runs that end above `keepUpToSeq`,
   * down to the last durable one at most. Returns where the database stands now.
   */
  crash(keepUpToSeq: Seq): Position {
    this.#connected = false
    while (this.#position.lastExecuted > keepUpToSeq) {
      const last = this.#undoable.pop()
      if (last === undefined) break
      last.undo()
      this.#position = last.before
    }
    return this.#position
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
    return this.#sum
  }

  allRows(): AllRows {
    const ascending = <T>(rows: Iterable<T>, keyOf: (row: T) => number | string): T[] =>
      [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    return {
      accounts: ascending(this.#accounts.values(), (row) => row.id),
      customers: ascending(this.#customers.values(), (row) => row.owner),
      principals: ascending(this.#principals.values(), (row) => row.id),
      clients: ascending(this.#clients.values(), (row) => laneKey(row.client, row.lane)),
      transfers: [...this.#transfers],
      chain: [...this.#chain],
    }
  }

  account(id: AccountId): AccountRow | undefined {
    return this.#accounts.get(id)
  }

  clientRow(client: PrincipalId, lane: Lane): ClientRow | undefined {
    return this.#clients.get(laneKey(client, lane))
  }

  principal(id: PrincipalId): PrincipalRow | undefined {
    return this.#principals.get(id)
  }

  history({ account, before, count }: HistoryQuery): readonly TransferRow[] {
    const found: TransferRow[] = []
    const places = this.#transfersOf.get(account) ?? []
    for (let i = places.length - 1; i >= 0 && found.length < count; i--) {
      const transfer = this.#transfers[places[i] ?? -1]
      if (transfer !== undefined && (before === null || transfer.seq < before)) found.push(transfer)
    }
    return found
  }

  async connect(): Promise<Position & { readonly lanes: readonly LaneEntry[] }> {
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
    this.#checkConnected()
    return this.#chain[seq - 1]
  }

  async close(): Promise<void> {
    this.#connected = false
  }

  #checkConnected(): void {
    if (!this.#connected) throw new StoreError('unavailable', 'the database is not connected')
  }

  /** Returns what takes the changes back. */
  #commit(changes: Changes): () => void {
    const customersBefore = changes.customers.map(({ owner }) => ({
      owner,
      before: this.#customers.get(owner),
    }))
    for (const { after } of changes.accounts) this.#putAccount(after.id, after)
    for (const row of changes.customers) this.#customers.set(row.owner, row)
    for (const { after } of changes.clients) this.#clients.set(laneKey(after.client, after.lane), after)
    for (const row of changes.transfers) this.#pushTransfer(row)
    this.#chain.push(...changes.chain)
    return () => {
      for (const { before, after } of changes.accounts) this.#putAccount(after.id, before)
      for (const { owner, before } of customersBefore) restore(this.#customers, owner, before)
      for (const { before, after } of changes.clients) {
        restore(this.#clients, laneKey(after.client, after.lane), before)
      }
      for (const row of changes.transfers) this.#dropTransfer(row)
      this.#chain.length -= changes.chain.length
    }
  }

  #putAccount(id: AccountId, row: AccountRow | undefined): void {
    this.#sum += (row?.balance ?? 0n) - (this.#accounts.get(id)?.balance ?? 0n)
    restore(this.#accounts, id, row)
  }

  #pushTransfer(row: TransferRow): void {
    const place = this.#transfers.push(row) - 1
    for (const account of [row.debit, row.credit]) {
      const places = this.#transfersOf.get(account)
      if (places === undefined) this.#transfersOf.set(account, [place])
      else places.push(place)
    }
  }

  /** Only ever of the newest transfers. */
  #dropTransfer(row: TransferRow): void {
    this.#transfers.pop()
    for (const account of [row.debit, row.credit]) this.#transfersOf.get(account)?.pop()
  }
}

function restore<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key)
  else map.set(key, value)
}
