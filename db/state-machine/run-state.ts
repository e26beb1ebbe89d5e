import type { AccountId, TransferId } from '../../protocol/operations.ts'
import type { Lane, PrincipalId, Seq } from '../../protocol/types.ts'
import type { AccountRow, ChainRow, ClientRow, CustomerRow, PrincipalRow, TransferRow } from '../rows.ts'
import { laneKey } from '../rows.ts'

/** Transfers of `account` below seq `before` (null: all), newest first, at most `count`. */
export type HistoryQuery = {
  readonly account: AccountId
  readonly before: Seq | null
  readonly count: number
}

/** The committed rows that a run is applied to: all that `touchedBy(run)` names must be there. */
export interface RowSource {
  account(id: AccountId): AccountRow | undefined
  clientRow(client: PrincipalId, lane: Lane): ClientRow | undefined
  principal(id: PrincipalId): PrincipalRow | undefined
  history(query: HistoryQuery): readonly TransferRow[]
}

/** A row before and after a run; `before` is undefined when the run made it. */
export type Change<Row> = { readonly before: Row | undefined; readonly after: Row }

/** Everything a run writes: each row once, however often the run changed it. */
export type Changes = {
  readonly accounts: readonly Change<AccountRow>[]
  /** Upserts: the last word for each owner. */
  readonly customers: readonly CustomerRow[]
  readonly principals: readonly Change<PrincipalRow>[]
  readonly clients: readonly Change<ClientRow>[]
  readonly transfers: readonly TransferRow[]
  readonly chain: readonly ChainRow[]
}

const movedBy = (row: AccountRow, change: bigint, id: TransferId): AccountRow => ({
  id: row.id,
  owner: row.owner,
  balance: row.balance + change,
  opened: row.opened,
  version: id.seq,
  entries: row.entries + 1,
  newest: id,
})

/** The state as a run sees it: committed rows under the run's own changes. Owns those changes and their undoing. */
export class RunState {
  readonly #source: RowSource
  readonly #accounts = new Map<AccountId, AccountRow | undefined>()
  readonly #customers = new Map<PrincipalId, CustomerRow>()
  readonly #principals = new Map<PrincipalId, PrincipalRow>()
  readonly #clients = new Map<number, ClientRow>()
  readonly #transfers: TransferRow[] = []
  readonly #chain: ChainRow[] = []
  #seq = 0 as Seq
  #transfersBefore = 0
  /** Undoes the open linked group, last change first; null outside of one. */
  #undo: (() => void)[] | null = null

  constructor(source: RowSource) {
    this.#source = source
  }

  /** The batch that changes are made for from now on. */
  beginBatch(seq: Seq): void {
    this.#seq = seq
    this.#transfersBefore = this.#transfers.length
  }

  get seq(): Seq {
    return this.#seq
  }

  account(id: AccountId): AccountRow | undefined {
    const changed = this.#accounts.get(id)
    return changed ?? this.#source.account(id)
  }

  putAccount(row: AccountRow): void {
    const previous = this.#accounts.get(row.id)
    this.#undo?.push(() => this.#accounts.set(row.id, previous))
    this.#accounts.set(row.id, row)
  }

  putCustomer(row: CustomerRow): void {
    const previous = this.#customers.get(row.owner)
    this.#undo?.push(() => {
      if (previous === undefined) this.#customers.delete(row.owner)
      else this.#customers.set(row.owner, previous)
    })
    this.#customers.set(row.owner, row)
  }

  principal(id: PrincipalId): PrincipalRow | undefined {
    return this.#principals.get(id) ?? this.#source.principal(id)
  }

  putPrincipal(row: PrincipalRow): void {
    this.#principals.set(row.id, row)
  }

  clientRow(client: PrincipalId, lane: Lane): ClientRow | undefined {
    return this.#clients.get(laneKey(client, lane)) ?? this.#source.clientRow(client, lane)
  }

  putClientRow(row: ClientRow): void {
    this.#clients.set(laneKey(row.client, row.lane), row)
  }

  /** Moves money: the transfer, and both rows as it leaves them, each the head of its own history. */
  transfer({
    debit,
    credit,
    amount,
  }: {
    readonly debit: AccountRow
    readonly credit: AccountRow
    readonly amount: bigint
  }): TransferId {
    const id = { seq: this.#seq, index: this.#transfers.length - this.#transfersBefore }
    this.#transfers.push({
      ...id,
      debit: debit.id,
      credit: credit.id,
      amount,
      debitEntry: debit.entries + 1,
      debitPrevious: debit.newest,
      creditEntry: credit.entries + 1,
      creditPrevious: credit.newest,
    })
    this.#undo?.push(() => this.#transfers.pop())
    this.putAccount(movedBy(debit, -amount, id))
    this.putAccount(movedBy(credit, amount, id))
    return id
  }

  /** The current batch's transfers, in order. */
  transfersOfBatch(): readonly TransferRow[] {
    return this.#transfers.slice(this.#transfersBefore)
  }

  addChainRow(row: ChainRow): void {
    this.#chain.push(row)
  }

  /** Runs `group`; when it answers false, everything that it changed is undone. */
  atomically(group: () => boolean): void {
    const undo: (() => void)[] = []
    this.#undo = undo
    const keep = group()
    this.#undo = null
    if (!keep) for (const step of undo.reverse()) step()
  }

  /** Newest first: the run's own transfers, then committed ones. */
  history(query: HistoryQuery): TransferRow[] {
    const found: TransferRow[] = []
    for (let i = this.#transfers.length - 1; i >= 0 && found.length < query.count; i--) {
      const transfer = this.#transfers[i]
      if (transfer === undefined || (query.before !== null && transfer.seq >= query.before)) continue
      if (transfer.debit === query.account || transfer.credit === query.account) found.push(transfer)
    }
    if (found.length === query.count) return found
    return found.concat(this.#source.history(query).slice(0, query.count - found.length))
  }

  changes(): Changes {
    const accounts: Change<AccountRow>[] = []
    for (const [id, after] of this.#accounts) {
      if (after !== undefined) accounts.push({ before: this.#source.account(id), after })
    }
    const principals: Change<PrincipalRow>[] = []
    for (const after of this.#principals.values()) {
      principals.push({ before: this.#source.principal(after.id), after })
    }
    const clients: Change<ClientRow>[] = []
    for (const after of this.#clients.values()) {
      clients.push({ before: this.#source.clientRow(after.client, after.lane), after })
    }
    return {
      accounts,
      customers: [...this.#customers.values()],
      principals,
      clients,
      transfers: this.#transfers,
      chain: this.#chain,
    }
  }
}
