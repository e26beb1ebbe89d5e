import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MemoryStore } from '../../db/memory-store.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import { ROOT } from '../../db/state-tree/place.ts'
import { seq } from '../../protocol/types.ts'
import { ALICE, genesisOf, historyArb, runOf } from '../unit/db/fixture.ts'
import { type Edit, storeStateContract } from './store-state.ts'

function edit(store: MemoryStore, edit: Edit): void {
  switch (edit.kind) {
    case 'set-balance':
      return store.tamper('accounts', edit.account, (row) => row && { ...row, balance: edit.balance })
    case 'delete-account':
      return store.tamper('accounts', edit.account, () => undefined)
    case 'insert-account':
      return store.tamper('accounts', edit.row.id, () => edit.row)
    case 'set-amount':
      return store.tamper(
        'transfers',
        `${edit.seq}/${edit.index}`,
        (row) => row && { ...row, amount: edit.amount },
      )
    case 'delete-transfer':
      return store.tamper('transfers', `${edit.seq}/${edit.index}`, () => undefined)
    case 'set-replies-digest':
      return store.tamper('chain', String(edit.seq), (row) => row && { ...row, repliesDigest: edit.digest })
  }
}

storeStateContract('memory', async (genesis) => {
  const store = new MemoryStore({ genesis })
  return { open: () => store, edit: async (what) => edit(store, what) }
})

const genesis = genesisOf()
const pay = (number: number) => ({
  client: ALICE,
  number,
  operations: [{ kind: 'transfer' as const, from: 'a', to: 'b', amount: 1n }],
})
const connected = (): MemoryStore => {
  const store = new MemoryStore({ genesis })
  store.connectSync()
  return store
}

test('[CP2] [D4] a crash takes rows back, and the tree with them', () => {
  const crashArb = fc.array(fc.record({ keep: fc.nat(14), check: fc.boolean() }), { maxLength: 4 })
  fc.assert(
    fc.property(historyArb, crashArb, (history, crashes) => {
      const [store, reference] = [connected(), connected()]
      const expected = [reference.takeCheckpointSync().stateRoot]
      for (const at of history) {
        reference.executeSync([at], { durable: false })
        expected.push(reference.takeCheckpointSync().stateRoot)
      }
      for (const { keep, check } of [...crashes, { keep: history.length, check: true }]) {
        for (const at of history.slice(store.position.lastExecuted)) {
          store.executeSync([at], { durable: at.seq % 5 === 0 })
        }
        if (check) store.takeCheckpointSync()
        const { lastExecuted } = store.crash(seq(keep))
        expect(lastExecuted).toBeLessThanOrEqual(Math.max(keep, history.length - (history.length % 5)))
        store.connectSync()
        expect(store.takeCheckpointSync().stateRoot).toBe(expected[lastExecuted])
      }
    }),
  )
})

test('[CP4] [D4] what was installed no crash takes back; held states are lost with the connection', () => {
  const [from, to] = [connected(), connected()]
  from.executeSync(runOf([[pay(1)], [pay(2)]]), { durable: false })
  to.executeSync(runOf([[pay(1)]]), { durable: false })
  const { stateRoot, chain } = from.takeCheckpointSync()
  const target = { seq: seq(2), stateRoot, chain }
  const { partitions } = to.beginTransferSync(target, { rescan: false })
  const wanted = [...partitions]
  for (let partition = wanted.pop(); partition !== undefined; partition = wanted.pop()) {
    const [read] = from.readPartitionsSync(seq(2), { partitions: [partition], bytesMax: 1 }) ?? []
    if (read === undefined) throw new Error('nothing read')
    wanted.push(...to.stagePartitionSync(partition, read.node))
  }
  to.stageHistorySync(from.readHistorySync({ upTo: seq(2), bytesMax: 1 }))
  to.installTransferSync()
  expect(to.durableSeq).toBe(2)
  expect(to.crash(seq(0))).toEqual({ lastExecuted: 2, chain })
  to.connectSync()
  expect(to.takeCheckpointSync()).toEqual({ lastExecuted: 2, chain, stateRoot })
  const want = { partitions: [ROOT], bytesMax: 1 }
  const [root] = to.readPartitionsSync(seq(2), want) ?? []
  expect(root && partitionDigest(root.node)).toBe(stateRoot)
  to.crash(seq(2))
  to.connectSync()
  expect(to.readPartitionsSync(seq(2), want)).toBeUndefined()
})

test('[D5] a wiped database stands at genesis', () => {
  const store = connected()
  const { stateRoot } = store.takeCheckpointSync()
  store.executeSync(runOf([[pay(1)], [pay(2)]]), { durable: true })
  store.tamper('accounts', 'c', (row) => row && { ...row, balance: 5n })
  store.wipe()
  expect(store.connectSync()).toEqual({ lastExecuted: 0, chain: genesis.digest, lanes: [], incarnations: [] })
  expect(store.takeCheckpointSync().stateRoot).toBe(stateRoot)
  expect(store.readHistorySync({ upTo: seq(2), bytesMax: 1_000 })).toEqual([])
  store.executeSync(runOf([[pay(1)]]), { durable: false })
})
