import { expect, test } from 'vitest'
import { TABLES, type TableName, type Tables } from '../../../db/columns.ts'
import { historyMismatches } from '../../../db/memory/scrub.ts'
import { MemoryStore } from '../../../db/memory-store.ts'
import { chainDigestOfEntry, ledgerEntryOf } from '../../../db/state-machine/ledger-entry.ts'
import { markOf } from '../../../db/state-tree/place.ts'
import { mismatchesOf } from '../../../db/state-tree/repair.ts'
import type { StateRow, StateTable } from '../../../db/state-tree/state-row.ts'
import { StateTree } from '../../../db/state-tree/state-tree.ts'
import type { TransferId } from '../../../protocol/operations.ts'
import type { Digest } from '../../../protocol/types.ts'
import { lane, principalId, requestNumber, seq, view } from '../../../protocol/types.ts'
import { ALICE, BOB, genesisOf, REPLICA, runOf, TELLER } from './fixture.ts'

/** A ledger with every kind of row, and with each value that may be null both null and not. */
function ledger(): MemoryStore {
  const store = new MemoryStore({ genesis: genesisOf() })
  store.connectSync()
  const transfer = { kind: 'transfer' as const, from: 'a', to: 'b', amount: 5n }
  const open = { kind: 'open' as const, account: 'd', owner: principalId(BOB), customer: null }
  store.executeSync(
    runOf([
      [{ client: ALICE, number: 1, operations: [transfer, transfer] }],
      [{ client: ALICE, lane: 1, number: 2, operations: [{ kind: 'lookup' }] }],
      [{ client: TELLER, number: 3, operations: [open] }],
      [{ client: ALICE, number: 4, operations: [{ kind: 'lookup' }] }],
      [{ client: REPLICA, number: 5, operations: [{ kind: 'recover', view: view(3) }] }],
    ]),
    { durable: false },
  )
  return store
}

/** Other values for one column of a row. A column that is added without any does not compile. */
type Others<Row> = { readonly [K in keyof Row]: (value: Row[K]) => readonly Row[K][] }

const otherDigest = (digest: Digest): Digest =>
  `${digest.slice(0, -1)}${digest.endsWith('0') ? '1' : '0'}` as Digest
const otherSeq = (at: number) => [seq(at + 1)]
const otherLink = (id: TransferId | null): (TransferId | null)[] =>
  id === null
    ? [{ seq: seq(1), index: 0 }]
    : [null, { ...id, seq: seq(id.seq + 1) }, { ...id, index: id.index + 1 }]
type Mark = NonNullable<Tables['client_table']['lookup']>
const otherMarks = <M extends Mark>(mark: M): M[] => [
  { ...mark, number: requestNumber(mark.number + 1) },
  { ...mark, requestDigest: otherDigest(mark.requestDigest) },
]
const MARK: Mark = { number: requestNumber(9), requestDigest: '5'.repeat(64) as Digest }

const OTHERS: { readonly [T in TableName]: Others<Tables[T]> } = {
  accounts: {
    id: (id) => [`${id}x`],
    owner: (owner) => [owner === null ? principalId(BOB) : null, principalId((owner ?? 0) + 1)],
    balance: (balance) => [balance + 1n, -balance - 1n],
    opened: otherSeq,
    version: otherSeq,
    entries: (entries) => [entries + 1],
    newest: otherLink,
  },
  customers: {
    owner: (owner) => [principalId(owner + 1_000)],
    name: (name) => [`${name}x`, name.toUpperCase()],
    address: (address) => (address === null ? ['', 'x'] : [null, `${address} `]),
    version: otherSeq,
  },
  principals: {
    id: (id) => [principalId(id + 1_000_000)],
    role: (role) => [role === 'teller' ? 'customer' : 'teller', role === 'replica' ? 'customer' : 'replica'],
    publicKey: (key) => [otherDigest(key as Digest)],
    incarnation: (incarnation) => [incarnation + 1],
    incarnationView: (at) => [view(at + 1)],
    version: otherSeq,
  },
  client_table: {
    client: (client) => [principalId(client + 1_000)],
    lane: (at) => [lane(at + 2)],
    real: (real) =>
      real === null
        ? [{ ...MARK, result: Buffer.of(1) }]
        : [null, ...otherMarks(real), { ...real, result: Buffer.concat([real.result, Buffer.of(0)]) }],
    lookup: (lookup) => (lookup === null ? [MARK] : [null, ...otherMarks(lookup)]),
    version: otherSeq,
  },
  transfers: {
    seq: otherSeq,
    index: (index) => [index + 7],
    debit: (debit) => [`${debit}x`],
    credit: (credit) => [`${credit}x`],
    amount: (amount) => [amount + 1n],
    debitEntry: (entry) => [entry + 1],
    debitPrevious: otherLink,
    creditEntry: (entry) => [entry + 1],
    creditPrevious: otherLink,
  },
  chain: {
    seq: otherSeq,
    batchDigest: (digest) => [otherDigest(digest)],
    repliesDigest: (digest) => [otherDigest(digest)],
    transfersDigest: (digest) => [otherDigest(digest)],
    chain: (digest) => [otherDigest(digest)],
  },
}

/** Every row that differs from `row` in one column. */
function changedRows<T extends TableName>(table: T, row: Tables[T]): Tables[T][] {
  const others: Others<Tables[T]> = OTHERS[table]
  const columns = Object.keys(others) as (keyof Tables[T])[]
  return columns.flatMap((column) => changedIn(others, row, column))
}

const changedIn = <Row, K extends keyof Row>(others: Others<Row>, row: Row, column: K): Row[] =>
  others[column](row[column]).map((value) => ({ ...row, [column]: value }))

/** The columns in which changed rows of the table differ, as they are named to operators. */
const columnsChanged = <T extends TableName>(table: T, rows: readonly Tables[T][]): Set<string> =>
  new Set(
    rows.flatMap((row) =>
      changedRows(table, row).flatMap((other) =>
        TABLES[table].columns.filter(({ text }) => text(row) !== text(other)).map(({ name }) => name),
      ),
    ),
  )
const columnsOf = (table: TableName): Set<string> => new Set(TABLES[table].columns.map(({ name }) => name))

function stateRows(): StateRow[] {
  const { accounts, customers, principals, clients } = ledger().allRows()
  return [
    ...accounts.map((row): StateRow => ({ table: 'accounts', row })),
    ...customers.map((row): StateRow => ({ table: 'customers', row })),
    ...principals.map((row): StateRow => ({ table: 'principals', row })),
    ...clients.map((row): StateRow => ({ table: 'client_table', row })),
  ]
}

const rootOf = (rows: readonly StateRow[]) => StateTree.empty.changed(rows.map(markOf)).root

test.each(['accounts', 'customers', 'principals', 'client_table'] as const)(
  '[CP2] the digest covers every replicated column of %s',
  (table: StateTable) => {
    const rows = stateRows()
    const root = rootOf(rows)
    expect(root).toBe(ledger().takeCheckpointSync().stateRoot)
    const mine = rows.filter((row) => row.table === table)
    expect(
      columnsChanged(
        table,
        mine.map(({ row }) => row),
      ),
    ).toEqual(columnsOf(table))
    for (const [i, row] of rows.entries()) {
      if (row.table !== table) continue
      for (const changed of changedRows(table, row.row)) {
        const others = rows.with(i, { table, row: changed } as StateRow)
        expect(
          rootOf(others),
          JSON.stringify(mismatchesOf(table, { expected: row.row, found: changed })),
        ).not.toBe(root)
      }
      expect(rootOf(rows.toSpliced(i, 1))).not.toBe(root)
    }
  },
)

test('[CP2] the chain covers every replicated column of transfers', () => {
  const { transfers, chain } = ledger().allRows()
  expect(columnsChanged('transfers', transfers)).toEqual(columnsOf('transfers'))
  const [row] = chain
  const batch = transfers.filter(({ seq }) => seq === 1)
  if (row === undefined || batch.length < 2) throw new Error('a batch of two transfers is first')
  const previous = genesisOf().digest
  const chainOf = (rows: readonly Tables['transfers'][], at = row) =>
    chainDigestOfEntry(ledgerEntryOf({ row: at, previous, transfers: rows }))
  expect(chainOf(batch)).toBe(row.chain)
  for (const [i, transfer] of batch.entries()) {
    for (const changed of changedRows('transfers', transfer)) {
      // A transfer's seq is the entry's.
      if (changed.seq !== transfer.seq)
        expect(chainOf(batch, { ...row, seq: changed.seq })).not.toBe(row.chain)
      else expect(chainOf(batch.with(i, changed))).not.toBe(row.chain)
    }
    expect(chainOf(batch.toSpliced(i, 1))).not.toBe(row.chain)
  }
  expect(chainOf(batch.toReversed())).not.toBe(row.chain)
})

test('[CP2] [CP6] every column of the chain is checked against the others', () => {
  const { transfers, chain } = ledger().allRows()
  expect(columnsChanged('chain', chain)).toEqual(columnsOf('chain'))
  const [row] = chain
  if (row === undefined) throw new Error('no chain')
  const batch = transfers.filter(({ seq }) => seq === 1)
  const previous = genesisOf().digest
  expect(historyMismatches(1, { previous, row, transfers: batch })).toEqual([])
  for (const changed of changedRows('chain', row)) {
    // A row of another seq is missing at its own.
    const found = changed.seq === row.seq ? changed : undefined
    expect(historyMismatches(1, { previous, row: found, transfers: batch })).not.toEqual([])
  }
})
