import type { DatabaseView } from '../../../chaos/check/compare-databases.ts'
import { CURRENT_TABLES, type TableName, type Tables } from '../../../db/columns.ts'
import { type AllRows, MemoryStore } from '../../../db/memory-store.ts'
import type { BatchAt } from '../../../db/store.ts'

import { ALICE, BOB, genesisOf, type RequestSpec, runOf, TELLER } from '../db/fixture.ts'

export const genesis = genesisOf()

const pay = (number: number, amount: bigint): RequestSpec => ({
  client: ALICE,
  number,
  operations: [{ kind: 'transfer', from: 'a', to: 'b', amount }],
})

/** Seq 1 to 5: two payments, an account that is opened with a new name for its owner, a deposit to it, one more. */
export const HISTORY: readonly BatchAt[] = runOf([
  [pay(1, 10n)],
  [pay(2, 5n)],
  [
    {
      client: TELLER,
      number: 1,
      operations: [
        { kind: 'open', account: 'd', owner: BOB as never, customer: { name: 'Robert', address: null } },
      ],
    },
  ],
  [{ client: TELLER, number: 2, operations: [{ kind: 'deposit', account: 'd', amount: 7n }] }],
  [pay(3, 1n)],
])

export type Tampering = (rows: AllRows) => AllRows

/** A database that executed the first `executed` batches of HISTORY, and whose rows somebody then changed. */
export function viewOf({
  executed = HISTORY.length,
  tamper = (rows) => rows,
}: {
  executed?: number
  tamper?: Tampering
} = {}): DatabaseView {
  const newest = storeAfter(executed)
  return {
    position: newest.position,
    async *rows<T extends TableName>(table: T, at: number): AsyncGenerator<Tables[T]> {
      const isCurrent = CURRENT_TABLES.some((current) => current === table)
      const store = isCurrent ? newest : storeAfter(at)
      yield* rowsOf(tamper(store.allRows()), table)
    },
  }
}

function storeAfter(executed: number): MemoryStore {
  const store = new MemoryStore({ genesis })
  store.connectSync()
  for (const batch of HISTORY.slice(0, executed)) store.executeSync([batch], { durable: true })
  return store
}

function rowsOf<T extends TableName>(rows: AllRows, table: T): readonly Tables[T][] {
  const tables: { readonly [Name in TableName]: readonly Tables[Name][] } = {
    ...rows,
    client_table: rows.clients,
  }
  return tables[table]
}

export const withAccount =
  (id: string, change: (row: AllRows['accounts'][number]) => AllRows['accounts'][number]): Tampering =>
  (rows) => ({ ...rows, accounts: rows.accounts.map((row) => (row.id === id ? change(row) : row)) })
