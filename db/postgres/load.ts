import type { AccountId } from '../../protocol/operations.ts'
import type { Lane, PrincipalId } from '../../protocol/types.ts'
import type { AccountRow, ClientRow, PrincipalRow, TransferRow } from '../rows.ts'
import { laneKey } from '../rows.ts'
import type { HistoryQuery, RowSource } from '../state-machine/run-state.ts'
import { historyKey, type Touched } from '../state-machine/touched.ts'
import type { AccountCache } from './account-cache.ts'
import { int4Array, int8Array, textArray } from './arrays.ts'
import type { Session, Statement } from './session.ts'
import { accountFrom, COLUMNS, transferFrom } from './tables.ts'

/** Above every seq. */
const NO_BOUND = 2 ** 53

/**
 * What this process keeps of the tables: some accounts, all principals and lanes. Only ordered operations change them,
 * and this process is the only one that executes them here [D3], so what it committed is what is there.
 */
export type KeptRows = {
  readonly accounts: AccountCache
  readonly principals: ReadonlyMap<PrincipalId, PrincipalRow>
  readonly clients: ReadonlyMap<number, ClientRow>
}

/** What a run touches: from what is kept, and the rest in one round trip. */
export async function loadRows(session: Session, touched: Touched, kept: KeptRows): Promise<RowSource> {
  const queries = [...touched.histories.values()]
  const accounts = new Map<AccountId, AccountRow>()
  const missing: AccountId[] = []
  for (const id of touched.accounts) {
    const row = kept.accounts.get(id)
    if (row === undefined) missing.push(id)
    else accounts.set(id, row)
  }
  const [accountRows, historyRows] = await Promise.all([
    missing.length === 0 ? [] : session.rows(accountsStatement(missing)),
    queries.length === 0 ? [] : session.rows(historiesStatement(queries)),
  ])
  for (const textRow of accountRows) {
    const row = accountFrom(textRow)
    accounts.set(row.id, row)
    kept.accounts.put(row)
  }
  const histories = new Map<string, TransferRow[]>(queries.map((query) => [historyKey(query), []]))
  for (const row of historyRows) {
    const query = queries[Number(row[0]) - 1]
    if (query !== undefined) histories.get(historyKey(query))?.push(transferFrom(row, 1))
  }
  return new LoadedRows({ touched, kept, accounts, histories })
}

const accountsStatement = (ids: readonly AccountId[]): Statement => ({
  name: 'load-accounts',
  text: `select ${COLUMNS.accounts} from accounts where id = any($1::text[])`,
  values: [textArray(ids)],
})

const historiesStatement = (queries: readonly HistoryQuery[]): Statement => ({
  name: 'load-histories',
  text: `
    select q.place, t.*
    from unnest($1::text[], $2::bigint[], $3::integer[]) with ordinality as q (account, before, count, place)
    cross join lateral (
      (select ${COLUMNS.transfers} from transfers
        where debit = q.account and seq < q.before order by seq desc, index desc limit q.count)
      union all
      (select ${COLUMNS.transfers} from transfers
        where credit = q.account and seq < q.before order by seq desc, index desc limit q.count)
      order by seq desc, index desc limit q.count
    ) t
    order by q.place, t.seq desc, t.index desc`,
  values: [
    textArray(queries.map(({ account }) => account)),
    int8Array(queries.map(({ before }) => before ?? NO_BOUND)),
    int4Array(queries.map(({ count }) => count)),
  ],
})

/** Answers for what was loaded, and for nothing else: an absent row is not the same as one that was not asked for. */
class LoadedRows implements RowSource {
  readonly #touched: Touched
  readonly #kept: KeptRows
  readonly #accounts: ReadonlyMap<AccountId, AccountRow>
  readonly #histories: ReadonlyMap<string, readonly TransferRow[]>

  constructor(args: {
    readonly touched: Touched
    readonly kept: KeptRows
    readonly accounts: ReadonlyMap<AccountId, AccountRow>
    readonly histories: ReadonlyMap<string, readonly TransferRow[]>
  }) {
    this.#touched = args.touched
    this.#kept = args.kept
    this.#accounts = args.accounts
    this.#histories = args.histories
  }

  account(id: AccountId): AccountRow | undefined {
    if (!this.#touched.accounts.has(id)) throw new Error(`account ${id} was not loaded`)
    return this.#accounts.get(id)
  }

  clientRow(client: PrincipalId, lane: Lane): ClientRow | undefined {
    return this.#kept.clients.get(laneKey(client, lane))
  }

  principal(id: PrincipalId): PrincipalRow | undefined {
    return this.#kept.principals.get(id)
  }

  history(query: HistoryQuery): readonly TransferRow[] {
    const found = this.#histories.get(historyKey(query))
    if (found === undefined) throw new Error(`the history of ${query.account} was not loaded`)
    return found
  }
}
