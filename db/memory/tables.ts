import type { AccountId } from '../../protocol/operations.ts'
import type { Lane, PrincipalId } from '../../protocol/types.ts'
import { compareKeys, TABLES, type TableName, type Tables } from '../columns.ts'
import type { GenesisRows } from '../genesis-rows.ts'
import type { AccountRow, ChainRow, ClientRow, CustomerRow, PrincipalRow, TransferRow } from '../rows.ts'
import type { Changes, HistoryQuery, RowSource } from '../state-machine/run-state.ts'
import { type Place, placeOf, type RowChange, type RowMark, rowDigestOf } from '../state-tree/place.ts'
import { mismatchesOf } from '../state-tree/repair.ts'
import { encodeRow } from '../state-tree/row-codec.ts'
import { keyOf, type RowKey, STATE_TABLES, type StateRow, type StateTable } from '../state-tree/state-row.ts'
import type { RowMismatch } from '../store.ts'

/** Every replicated row, each table in the order of its key. */
export type AllRows = {
  readonly accounts: readonly AccountRow[]
  readonly customers: readonly CustomerRow[]
  readonly principals: readonly PrincipalRow[]
  readonly clients: readonly ClientRow[]
  readonly transfers: readonly TransferRow[]
  readonly chain: readonly ChainRow[]
}

/** A row's key, and its text, by which it is found here. */
type Ref = { readonly table: StateTable; readonly key: RowKey; readonly text: string }

/** What a row was before it was changed behind the store's back. */
type Tampered = { readonly ref: Ref; readonly left: StateRow | undefined }

type StateMaps = { readonly [T in StateTable]: Map<string, Tables[T]> }

/**
 * The rows of a memory store. Beside them it keeps which ones were written since the tree was brought up to date, and
 * what the store had left where somebody changed a row behind its back.
 */
export class MemoryTables implements RowSource {
  readonly #rows: StateMaps = {
    accounts: new Map(),
    customers: new Map(),
    principals: new Map(),
    client_table: new Map(),
  }
  /** By seq, in order; none for a seq without transfers. */
  readonly #transfers = new Map<number, TransferRow[]>()
  /** Each account's transfers, oldest first. */
  readonly #transfersOf = new Map<AccountId, TransferRow[]>()
  readonly #chain = new Map<number, ChainRow>()
  readonly #written = new Map<string, Ref>()
  /** By the id of their rows. */
  readonly #tampered = new Map<string, Tampered>()
  readonly #places = new Map<string, Place>()
  /** Rows are values: each is encoded and hashed once. */
  readonly #marks = new WeakMap<StateRow['row'], RowMark>()
  #sum = 0n

  constructor({ accounts, customers, principals }: GenesisRows) {
    for (const row of accounts) this.put({ table: 'accounts', row })
    for (const row of customers) this.put({ table: 'customers', row })
    for (const row of principals) this.put({ table: 'principals', row })
  }

  get sumOfBalances(): bigint {
    return this.#sum
  }

  account(id: AccountId): AccountRow | undefined {
    return this.#rows.accounts.get(id)
  }

  clientRow(client: PrincipalId, lane: Lane): ClientRow | undefined {
    return this.#rows.client_table.get(`${client}/${lane}`)
  }

  principal(id: PrincipalId): PrincipalRow | undefined {
    return this.#rows.principals.get(String(id))
  }

  history({ account, before, count }: HistoryQuery): readonly TransferRow[] {
    const found: TransferRow[] = []
    const transfers = this.#transfersOf.get(account) ?? []
    for (let i = transfers.length - 1; i >= 0 && found.length < count; i--) {
      const transfer = transfers[i]
      if (transfer !== undefined && (before === null || transfer.seq < before)) found.push(transfer)
    }
    return found
  }

  chainRow(seq: number): ChainRow | undefined {
    return this.#chain.get(seq)
  }

  transfersAt(seq: number): readonly TransferRow[] {
    return this.#transfers.get(seq) ?? []
  }

  stateRows(): StateRow[] {
    const rows: StateRow[] = []
    for (const row of this.#rows.accounts.values()) rows.push({ table: 'accounts', row })
    for (const row of this.#rows.customers.values()) rows.push({ table: 'customers', row })
    for (const row of this.#rows.principals.values()) rows.push({ table: 'principals', row })
    for (const row of this.#rows.client_table.values()) rows.push({ table: 'client_table', row })
    return rows
  }

  clients(): readonly ClientRow[] {
    return sorted('client_table', this.#rows.client_table.values())
  }

  principals(): readonly PrincipalRow[] {
    return sorted('principals', this.#rows.principals.values())
  }

  allRows(): AllRows {
    return {
      accounts: sorted('accounts', this.#rows.accounts.values()),
      customers: sorted('customers', this.#rows.customers.values()),
      principals: this.principals(),
      clients: this.clients(),
      transfers: sorted('transfers', [...this.#transfers.values()].flat()),
      chain: sorted('chain', this.#chain.values()),
    }
  }

  /** Of the rows that a run would write: those that are not as they were left. */
  tamperedBefore(changes: Changes): readonly RowMismatch[] {
    if (this.#tampered.size === 0) return []
    return writesOf(changes).flatMap((row) => {
      const tampered = this.#tampered.get(idOf(refOf(row)))
      if (tampered === undefined) return []
      const { ref, left } = tampered
      return mismatchesOf<StateTable>(ref.table, { expected: left?.row, found: this.#find(ref)?.row })
    })
  }

  /** Returns what takes the changes back. */
  commit(changes: Changes): () => void {
    const undo = writesOf(changes).map((row) => {
      const ref = refOf(row)
      const before = this.#find(ref)
      this.#write(ref, row)
      return () => this.#write(ref, before)
    })
    for (const transfer of changes.transfers) this.#pushTransfer(transfer)
    for (const row of changes.chain) this.#chain.set(row.seq, row)
    return () => {
      for (const step of undo) step()
      for (const { seq } of changes.chain) this.#dropNewest(seq)
    }
  }

  put(row: StateRow): void {
    this.#write(refOf(row), row)
  }

  remove(row: StateRow): void {
    this.#write(refOf(row), undefined)
  }

  #write(ref: Ref, row: StateRow | undefined): void {
    const id = idOf(ref)
    this.#set(ref, row)
    this.#written.set(id, ref)
    this.#tampered.delete(id)
  }

  /** [CP4] The suffix from `first` on is these entries' instead, in ascending order. */
  replaceHistory(
    first: number,
    entries: Iterable<{ readonly row: ChainRow; readonly transfers: readonly TransferRow[] }>,
  ): void {
    for (const seq of [...this.#chain.keys()]) if (seq >= first) this.#chain.delete(seq)
    this.#dropTransfers(({ seq }) => seq >= first)
    for (const { row, transfers } of entries) {
      this.#chain.set(row.seq, row)
      for (const transfer of transfers) this.#pushTransfer(transfer)
    }
  }

  /** What was written since the last call, as changes of the tree. */
  takeWritten(): RowChange[] {
    const changes = [...this.#written].map(([id, ref]): RowChange => {
      const tampered = this.#tampered.get(id)
      const row = tampered === undefined ? this.#find(ref) : tampered.left
      return row === undefined ? { place: this.#placeOf(ref), digest: null } : this.markOf(row)
    })
    this.#written.clear()
    return changes
  }

  /** From here on the rows count as they are, whoever wrote them: as they do when all are read anew. */
  acceptTampered(): void {
    for (const [id, { ref }] of this.#tampered) this.#written.set(id, ref)
    this.#tampered.clear()
  }

  markOf(row: StateRow): RowMark {
    const known = this.#marks.get(row.row)
    if (known !== undefined) return known
    const mark = { place: this.#placeOf(refOf(row)), digest: rowDigestOf(encodeRow(row)) }
    this.#marks.set(row.row, mark)
    return mark
  }

  /** A row that somebody changes, removes or adds by hand. `key` as a mismatch names it. */
  tamper<T extends TableName>(
    table: T,
    key: string,
    change: (row: Tables[T] | undefined) => Tables[T] | undefined,
  ): void {
    const before: Tables[T] | undefined = this.#rowsOf(table).find(
      (row) => TABLES[table].key(row).join('/') === key,
    )
    const after = change(before)
    const present = after ?? before
    if (present === undefined) throw new Error(`${table} ${key}: nothing to change`)
    const row = { table, row: present } as { [U in TableName]: { table: U; row: Tables[U] } }[TableName]
    if (row.table === 'chain') this.#tamperChain(row.row, after !== undefined)
    else if (row.table === 'transfers') this.#tamperTransfer(row.row, after !== undefined)
    else {
      const ref = refOf(row)
      const known = this.#tampered.get(idOf(ref))
      const left = known === undefined ? this.#find(ref) : known.left
      this.#set(ref, after === undefined ? undefined : row)
      this.#tampered.set(idOf(ref), { ref, left })
    }
  }

  #tamperChain(row: ChainRow, stays: boolean): void {
    if (stays) this.#chain.set(row.seq, row)
    else this.#chain.delete(row.seq)
  }

  #tamperTransfer(row: TransferRow, stays: boolean): void {
    const others = [...this.#transfers.values()].flat()
    const kept = others.filter(({ seq, index }) => seq !== row.seq || index !== row.index)
    this.#dropTransfers(() => true)
    const rows = stays ? [...kept, row] : kept
    for (const transfer of rows.sort((a, b) => a.seq - b.seq || a.index - b.index))
      this.#pushTransfer(transfer)
  }

  #rowsOf<T extends TableName>(table: T): readonly Tables[T][] {
    const { clients, ...rows } = this.allRows()
    const all: { readonly [U in TableName]: readonly Tables[U][] } = { ...rows, client_table: clients }
    return all[table]
  }

  #find({ table, text }: Ref): StateRow | undefined {
    const row = this.#rows[table].get(text)
    return row === undefined ? undefined : ({ table, row } as StateRow)
  }

  #set({ table, text }: Ref, row: StateRow | undefined): void {
    if (table === 'accounts') this.#sum -= this.#rows.accounts.get(text)?.balance ?? 0n
    switch (row?.table) {
      case undefined:
        this.#rows[table].delete(text)
        break
      case 'accounts':
        this.#rows.accounts.set(text, row.row)
        this.#sum += row.row.balance
        break
      case 'customers':
        this.#rows.customers.set(text, row.row)
        break
      case 'principals':
        this.#rows.principals.set(text, row.row)
        break
      case 'client_table':
        this.#rows.client_table.set(text, row.row)
        break
    }
  }

  #placeOf(ref: Ref): Place {
    const known = this.#places.get(idOf(ref))
    if (known !== undefined) return known
    const place = placeOf(ref.table, ref.key)
    this.#places.set(idOf(ref), place)
    return place
  }

  #pushTransfer(row: TransferRow): void {
    pushTo(this.#transfers, row.seq, row)
    pushTo(this.#transfersOf, row.debit, row)
    if (row.credit !== row.debit) pushTo(this.#transfersOf, row.credit, row)
  }

  /** The history of `seq`, with nothing above it in any account's but what goes, too. */
  #dropNewest(seq: number): void {
    for (const { debit, credit } of this.transfersAt(seq)) {
      for (const account of [debit, credit]) {
        const rows = this.#transfersOf.get(account) ?? []
        while ((rows.at(-1)?.seq ?? 0) >= seq) rows.pop()
      }
    }
    this.#transfers.delete(seq)
    this.#chain.delete(seq)
  }

  #dropTransfers(isDropped: (row: TransferRow) => boolean): void {
    for (const map of [this.#transfers, this.#transfersOf] as Map<unknown, TransferRow[]>[]) {
      for (const [key, rows] of map) {
        const kept = rows.filter((row) => !isDropped(row))
        if (kept.length === 0) map.delete(key)
        else if (kept.length < rows.length) map.set(key, kept)
      }
    }
  }
}

const sorted = <T extends TableName>(table: T, rows: Iterable<Tables[T]>): Tables[T][] =>
  [...rows].sort((a, b) => compareKeys(TABLES[table].key(a), TABLES[table].key(b)))

/** Rows that a run writes, as it leaves them. */
const writesOf = (changes: Changes): StateRow[] => [
  ...changes.accounts.map(({ after }): StateRow => ({ table: 'accounts', row: after })),
  ...changes.customers.map((row): StateRow => ({ table: 'customers', row })),
  ...changes.principals.map(({ after }): StateRow => ({ table: 'principals', row: after })),
  ...changes.clients.map(({ after }): StateRow => ({ table: 'client_table', row: after })),
]

function refOf(row: StateRow): Ref {
  const key = keyOf(row)
  return { table: row.table, key, text: key.join('/') }
}

const idOf = ({ table, text }: Ref): string => `${STATE_TABLES.indexOf(table)} ${text}`

function pushTo<K>(map: Map<K, TransferRow[]>, key: K, row: TransferRow): void {
  const rows = map.get(key)
  if (rows === undefined) map.set(key, [row])
  else rows.push(row)
}
