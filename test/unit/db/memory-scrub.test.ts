import { expect, test } from 'vitest'
import { MemoryStore } from '../../../db/memory-store.ts'
import { ALICE, genesisOf, runOf } from './fixture.ts'

/** Three batches of one transfer each, and every row found whole once. */
function scrubbed(): MemoryStore {
  const store = new MemoryStore({ genesis: genesisOf() })
  store.connectSync()
  const operations = [{ kind: 'transfer', from: 'a', to: 'b', amount: 1n } as const]
  const batches = [1, 2, 3].map((number) => [{ client: ALICE, number, operations }])
  store.executeSync(runOf(batches), { durable: true })
  expect(store.scrubSync({ share: 1 })).toEqual([])
  return store
}

const EDITS: readonly (readonly [string, (store: MemoryStore) => void, string])[] = [
  [
    'a changed balance',
    (store) => store.tamper('accounts', 'a', (row) => row && { ...row, balance: row.balance + 1n }),
    'accounts a',
  ],
  [
    'a changed transfer',
    (store) => store.tamper('transfers', '2/0', (row) => row && { ...row, amount: 5n }),
    'transfers 2',
  ],
  ['a removed transfer', (store) => store.tamper('transfers', '2/0', () => undefined), 'transfers 2'],
  [
    'a changed chain row',
    (store) => store.tamper('chain', '2', (row) => row && { ...row, repliesDigest: row.transfersDigest }),
    'chain 2',
  ],
  ['a removed chain row', (store) => store.tamper('chain', '2', () => undefined), 'chain 2'],
]

test.each(EDITS)('[CP6] %s is found although the rows were found whole before', (_, edit, named) => {
  const store = scrubbed()
  edit(store)
  const found = store.scrubSync({ share: 1 }).map(({ table, key }) => `${table} ${key}`)
  expect(found).toEqual([named])
})
