import type { AccountId } from '../../protocol/operations.ts'
import type { Lane, PrincipalId } from '../../protocol/types.ts'
import type { AccountRow, ClientRow, PrincipalRow, TransferRow } from '../rows.ts'
import { laneKey } from '../rows.ts'
import type { HistoryQuery, RowSource } from '../state-machine/run-state.ts'
import { historyKey, type Touched } from '../state-machine/touched.ts'
import type { AccountCache } from './account-cache.ts'
import { int4Array, int8Array, textArray } from './arrays.ts'
import type { KeptTree } from './kept-tree.ts'
import { tampered } from './mismatch.ts'
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

/**
 * What a run touches: from what is kept, and the rest in one round trip. [CP6] An account that is not as the tree has it
 * is not executed on.
 * @throws StoreError 'tampered'
 */
export async function loadRows(
  session: Session,
  touched: Touched,
  { kept, tree }: { readonly kept: KeptRows; readonly tree: KeptTree },
): Promise<RowSource> {
  const queries = [...touched.histories.values()]
  const missing: AccountId[] = []
  for (const id of touched.accounts) if (kept.accounts.get(id) === undefined) missing.push(id)
  const [accountRows, historyRows] = await Promise.all([
    missing.length === 0 ? [] : session.rows(accountsStatement(missing)),
    queries.length === 0 ? [] : session.rows(historiesStatement(queries)),
  ])
  const loaded = new Map(accountRows.map((row) => accountFrom(row)).map((row) => [row.id, row]))
  const mismatches = missing.flatMap((id) => tree.mismatches('accounts', [id], loaded.get(id)))
  if (mismatches.length > 0) throw tampered(mismatches)
  for (const row of loaded.values()) kept.accounts.put(row)
  const histories = new Map<string, TransferRow[]>(queries.map((query) => [historyKey(query), []]))
  for (const row of historyRows) {
    const query = queries[Number(row[0]) - 1]
    if (query !== undefined) histories.get(historyKey(query))?.push(transferFrom(row, 1))
  }
  return new LoadedRows({ touched, kept, histories })
}

const accountsStatement = (ids: readonly AccountId[]): Statement => ({
  name: 'load-accounts',
  text: `select ${COLUMNS.accounts} from accounts where id = any($1::text[])`,
  values: [textArray(ids)],
})

/** Of the first entry of q.account at or above q.before that its index has, if any. */
const indexed = (side: 'debit' | 'credit'): string => `
  select seq, index from transfers
  where ${side} = q.account and ${side}_entry % 32 = 0 and seq >= q.before order by seq, index limit 1`

/**
 * Down the links of a history, from its newest entry, or for an older page from an indexed one less than 32 entries
 * above it: the cost is that of the page, at any depth. Links that were tampered with lead nowhere, or to wrong
 * entries, but never in a circle.
 */
const HISTORIES = `
  select q.place, ${COLUMNS.transfers}
  from unnest($1::text[], $2::bigint[], $3::integer[]) with ordinality as q (account, before, count, place)
  join accounts a on a.id = q.account
  cross join lateral (
    select coalesce((
      select (seq << 20) + index from ((${indexed('debit')}) union all (${indexed('credit')})) as candidates
      order by seq, index limit 1
    ), a.newest) as link
  ) h
  cross join lateral (
    with recursive walk as (
      select t.*, h.link, (t.seq < q.before)::integer as found
      from transfers t
      where t.seq = h.link >> 20 and t.index = (h.link & 1048575)::integer and q.account in (t.debit, t.credit)
      union all
      select t.*, n.link, w.found + (t.seq < q.before)::integer
      from walk w
      cross join lateral (
        select case when w.debit = q.account then w.debit_previous else w.credit_previous end as link
      ) n
      join transfers t on t.seq = n.link >> 20 and t.index = (n.link & 1048575)::integer
      where w.found < q.count and n.link < w.link and q.account in (t.debit, t.credit)
    )
    select * from walk where found > 0
  ) w
  order by q.place, w.link desc`

const historiesStatement = (queries: readonly HistoryQuery[]): Statement => ({
  name: 'load-histories',
  text: HISTORIES,
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
  readonly #histories: ReadonlyMap<string, readonly TransferRow[]>

  constructor(args: {
    readonly touched: Touched
    readonly kept: KeptRows
    readonly histories: ReadonlyMap<string, readonly TransferRow[]>
  }) {
    this.#touched = args.touched
    this.#kept = args.kept
    this.#histories = args.histories
  }

  account(id: AccountId): AccountRow | undefined {
    const row = this.#kept.accounts.get(id)
    if (row === undefined && !this.#touched.accounts.has(id)) throw new Error(`account ${id} was not loaded`)
    return row
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
