import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../db/memory-store.ts'
import { EXTERNAL_ACCOUNT, MONEY_MAX } from '../../../protocol/operations.ts'
import { decodeResults } from '../../../protocol/results-codec.ts'
import { NULL_BATCH } from '../../../protocol/signing.ts'
import { seq } from '../../../protocol/types.ts'
import { cutIntoRuns, genesisOf, historyArb } from './fixture.ts'

const genesis = genesisOf()
const interval = genesis.parameters.checkpointInterval
const cutsArb = fc.array(fc.boolean(), { minLength: 1, maxLength: 14 })

function connected(): MemoryStore {
  const store = new MemoryStore({ genesis })
  store.connectSync()
  return store
}

describe('any history', () => {
  test('conserves money, never overdraws, and stays inside what Postgres can hold', () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const store = connected()
        for (const at of history) {
          store.executeSync([at], { durable: true })
          let sum = 0n
          for (const { id, balance } of store.allRows().accounts) {
            sum += balance
            if (id !== EXTERNAL_ACCOUNT && balance < 0n) throw new Error(`${id} is overdrawn`)
            if (balance > MONEY_MAX || balance < -MONEY_MAX) throw new Error(`${id} overflows`)
          }
          expect(sum).toBe(0n)
          expect(store.sumOfBalances()).toBe(0n)
        }
      }),
    )
  })

  test('[NC9] gives the same rows and chain in any cut into runs', () => {
    fc.assert(
      fc.property(historyArb, cutsArb, (history, cuts) => {
        const one = connected()
        const other = connected()
        const singly = history.flatMap((at) => one.executeSync([at], { durable: true }))
        const inRuns = cutIntoRuns(history, cuts, interval).flatMap((run) =>
          other.executeSync(run, { durable: true }),
        )
        expect(inRuns).toEqual(singly)
        expect(other.allRows()).toEqual(one.allRows())
      }),
    )
  })

  test('[NC7] stamps each changed row with its seq, and no other', () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const store = connected()
        for (const at of history) {
          const before = new Map(store.allRows().accounts.map((row) => [row.id, row]))
          store.executeSync([at], { durable: true })
          const moved = new Set(
            store
              .allRows()
              .transfers.filter((t) => t.seq === at.seq)
              .flatMap((t) => [t.debit, t.credit]),
          )
          for (const row of store.allRows().accounts) {
            const old = before.get(row.id)
            const touched = old === undefined || moved.has(row.id)
            expect(row.version).toBe(touched ? at.seq : old.version)
            expect(row.opened).toBe(old?.opened ?? at.seq)
          }
        }
      }),
    )
  })

  test('[NC5] executed twice, changes nothing but the chain', () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const store = connected()
        for (const at of history) store.executeSync([at], { durable: true })
        const { chain: _, ...before } = store.allRows()
        history.forEach(({ batch }, i) => {
          const again = { seq: seq(history.length + i + 1), batch }
          expect(store.executeSync([again], { durable: true })[0]?.lanes).toEqual([])
        })
        const { chain: __, ...after } = store.allRows()
        expect(after).toEqual(before)
      }),
    )
  })

  test('leaves an aborted linked group without a trace', () => {
    fc.assert(
      fc.property(historyArb, (history) => {
        const store = connected()
        for (const at of history) {
          const [done] = store.executeSync([at], { durable: true })
          const transferred = (done?.lanes ?? [])
            .flatMap(({ result }) => decodeResults(result) ?? [])
            .flatMap((result) => (result.kind === 'linked' ? result.results : [result]))
            .flatMap((result) => (result.kind === 'transferred' ? [result.id] : []))
          const rows = store.allRows().transfers.filter((t) => t.seq === at.seq)
          expect(rows.map(({ index }) => ({ seq: at.seq, index }))).toEqual(transferred)
        }
      }),
    )
  })

  test('[D4] lost by a crash down to the last durable run, is redone to the same state', () => {
    fc.assert(
      fc.property(historyArb, cutsArb, cutsArb, fc.nat(14), (history, cuts, durables, keep) => {
        const reference = connected()
        for (const at of history) reference.executeSync([at], { durable: true })
        const store = connected()
        let durableSeq = 0
        cutIntoRuns(history, cuts, interval).forEach((run, i) => {
          const durable = durables[i % durables.length] === true
          store.executeSync(run, { durable })
          if (durable) durableSeq = run.at(-1)?.seq ?? durableSeq
        })
        expect(store.durableSeq).toBe(durableSeq)
        const { lastExecuted } = store.crash(seq(keep))
        expect(lastExecuted).toBeGreaterThanOrEqual(durableSeq)
        expect(lastExecuted).toBeLessThanOrEqual(Math.max(keep, durableSeq))
        expect(() => store.readSync([])).toThrow('not connected')
        expect(store.connectSync().lastExecuted).toBe(lastExecuted)
        for (const at of history.slice(lastExecuted)) store.executeSync([at], { durable: true })
        expect(store.allRows()).toEqual(reference.allRows())
        expect(store.sumOfBalances()).toBe(0n)
      }),
    )
  })
})

test('[NC9] a null batch has no results, fixed for ever', () => {
  const store = connected()
  const [done] = store.executeSync([{ seq: seq(1), batch: NULL_BATCH }], { durable: true })
  const [row] = store.allRows().chain
  expect(done).toEqual({ seq: 1, chain: row?.chain, lanes: [], incarnations: [] })
  expect(row).toMatchInlineSnapshot(`
    {
      "batchDigest": "f827c99366e5ed4fdc8382f66161721e6a33b0627db6c8743388603ff51fd563",
      "chain": "22d8f3544046dc496e4b32baeb3963839113bf7fca7bef4d2b9398da41aa7b95",
      "repliesDigest": "415f67c2121746d7ed469734928fa9386987329ab6c593683f4f8433074b5870",
      "seq": 1,
      "transfersDigest": "b7d2168e677c3872e9b7ada9a6140b029b7e4f8adf4fb57f6cc1e82a19a97a48",
    }
  `)
})
