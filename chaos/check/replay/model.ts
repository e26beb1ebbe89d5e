import { compareKeys, TABLES, type TableName, type Tables } from '../../../db/columns.ts'
import { genesisRows } from '../../../db/genesis-rows.ts'
import {
  type AccountRow,
  type ClientRow,
  type CustomerRow,
  laneKey,
  type PrincipalRow,
  type TransferRow,
} from '../../../db/rows.ts'
import { applyRun } from '../../../db/state-machine/apply.ts'
import type { Changes, HistoryQuery, RowSource } from '../../../db/state-machine/run-state.ts'
import type { BatchAt, Executed, Position } from '../../../db/store.ts'
import type { Genesis } from '../../../protocol/config.ts'
import type { AccountId } from '../../../protocol/operations.ts'
import type { Lane, PrincipalId, Seq } from '../../../protocol/types.ts'
import { TransferStore } from './transfer-store.ts'

export type StateTableName = Exclude<TableName, 'transfers' | 'chain'>

/** What executing one batch came to. */
export type ModelStep = { readonly executed: Executed; readonly changes: Changes }

/** The pure state machine over rows that are kept in maps: what every database should hold. */
export class Model implements RowSource {
  readonly #genesis: Genesis
  readonly #accounts = new Map<AccountId, AccountRow>()
  readonly #customers = new Map<PrincipalId, CustomerRow>()
  readonly #principals = new Map<PrincipalId, PrincipalRow>()
  readonly #clients = new Map<number, ClientRow>()
  readonly #transfers = new TransferStore()
  #position: Position

  constructor(genesis: Genesis) {
    this.#genesis = genesis
    const { accounts, customers, principals } = genesisRows(genesis)
    for (const row of accounts) this.#accounts.set(row.id, row)
    for (const row of customers) this.#customers.set(row.owner, row)
    for (const row of principals) this.#principals.set(row.id, row)
    this.#position = { lastExecuted: 0 as Seq, chain: genesis.digest }
  }

  get position(): Position {
    return this.#position
  }

  /** `at` is the batch of the next sequence number. */
  execute(at: BatchAt): ModelStep {
    const { lanesPerClientMax } = this.#genesis.parameters
    const { executed, changes, position } = applyRun({
      source: this,
      position: this.#position,
      run: [at],
      parameters: { lanesPerClientMax },
    })
    const [first] = executed
    if (first === undefined) throw new Error(`seq ${at.seq}: a batch that was not executed`)
    for (const { after } of changes.accounts) this.#accounts.set(after.id, after)
    for (const row of changes.customers) this.#customers.set(row.owner, row)
    for (const { after } of changes.principals) this.#principals.set(after.id, after)
    for (const { after } of changes.clients) this.#clients.set(laneKey(after.client, after.lane), after)
    for (const row of changes.transfers) this.#transfers.push(row)
    this.#position = position
    return { executed: first, changes }
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

  history(query: HistoryQuery): readonly TransferRow[] {
    return this.#transfers.history(query)
  }

  /** The rows of a table as they are now, in the order of its key. */
  rows<T extends StateTableName>(table: T): Tables[T][] {
    const all: { readonly [Name in StateTableName]: () => Iterable<Tables[Name]> } = {
      accounts: () => this.#accounts.values(),
      customers: () => this.#customers.values(),
      principals: () => this.#principals.values(),
      client_table: () => this.#clients.values(),
    }
    const { key } = TABLES[table]
    return [...all[table]()].sort((a, b) => compareKeys(key(a), key(b)))
  }
}
