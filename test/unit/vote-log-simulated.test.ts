import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Disk } from '../../chaos/sim/disk.ts'
import { Random } from '../../chaos/sim/random.ts'
import { NULL_BATCH } from '../../protocol/signing.ts'
import { seq, view } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { wantedRecords } from '../../replica/runtime/vote-log/wanted-records.ts'
import {
  AMNESIA,
  batchNumber,
  checkpoint,
  committed,
  newView,
  prePrepare,
  prepared,
  recovered,
  stable,
  viewChange,
} from './vote-log-fixture.ts'

const ordered = (n: number): VoteRecord[] => [prePrepare(n), prepared(n), committed(n)]
const all = { from: seq(1), upTo: seq(1_000), bytesMax: 2 ** 30 }

/** Each record is synced by itself, so that later ones say that earlier ones are durable. */
function persist(disk: Disk, records: readonly VoteRecord[]): void {
  for (const record of records) {
    disk.write([disk.frame(record)])
    disk.syncTo(disk.mark)
  }
}

function diskWith(records: readonly VoteRecord[], random = new Random(1)): Disk {
  const disk = new Disk(random)
  persist(disk, records)
  return disk
}

const HISTORY = [
  viewChange(1),
  newView(1),
  ...[1, 2, 3, 4].flatMap(ordered),
  recovered(3),
  checkpoint(4),
  stable(4),
  ...[5, 6].flatMap(ordered),
]

describe('[CP1] the simulated vote log', () => {
  test('is cut below the stable checkpoint, and starts from the same records as before', () => {
    const disk = diskWith(HISTORY)
    disk.cut(seq(3))
    expect(disk.servedFrom).toBe(3)
    expect(disk.readCommitted(all)).toEqual([])
    expect(disk.readCommitted({ ...all, from: seq(4) }).map((entry) => entry.seq)).toEqual([4, 5, 6])
    expect(disk.durable('view-change', seq(0))).toEqual(viewChange(1))
    expect(disk.durable('prepared', seq(3))).toBeUndefined()
    for (let start = 0; start < 2; start++) {
      expect(disk.recover()).toEqual({ votes: wantedRecords(HISTORY), tornBytes: 0, lost: null })
      expect(disk.servedFrom).toBe(3)
      expect(disk.durable('new-view', seq(0))).toEqual(newView(1))
      disk.cut(seq(4))
    }
  })

  test('[D4] refuses a cut above what is stable on the disk', () => {
    const disk = diskWith(HISTORY)
    expect(() => disk.cut(seq(5))).toThrow(/5, and 4 is stable/)
    disk.write([disk.frame(stable(6))])
    expect(disk.stableUpTo).toBe(4)
    expect(() => disk.cut(seq(6))).toThrow(/6, and 4 is stable/)
  })

  test('[D1] after any cuts and power cuts it has all that was synced', () => {
    const step = fc.constantFrom('order', 'sync', 'stable', 'view', 'cut', 'power')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer(), (steps, seed) => {
        const random = new Random(seed)
        const disk = new Disk(random)
        let appended: VoteRecord[] = []
        let synced = 0
        let n = 0
        for (const next of steps) {
          const fresh = {
            order: () => ordered(++n),
            stable: () => [stable(Math.max(1, n - 1))],
            view: () => [viewChange(++n), newView(n)],
          }
          if (next === 'order' || next === 'stable' || next === 'view') {
            const records = fresh[next]()
            disk.write(records.map((record) => disk.frame(record)))
            appended.push(...records)
          } else if (next === 'sync') {
            disk.syncTo(disk.mark)
            synced = appended.length
          } else if (next === 'cut') {
            disk.cut(disk.stableUpTo)
          } else {
            disk.cutPower(random, [])
            const { votes, lost } = disk.recover()
            const { ordinal } = disk.mark
            expect(ordinal).toBeGreaterThanOrEqual(synced)
            appended = appended.slice(0, ordinal)
            synced = ordinal
            expect(lost).toBeNull()
            expect(votes).toEqual(wantedRecords(appended))
          }
        }
      }),
    )
  })

  test('tells records of one number apart by their views', () => {
    const disk = diskWith([prePrepare(1), prepared(1), prePrepare(1, { v: 2 }), viewChange(3), viewChange(4)])
    expect(disk.durable('pre-prepare', seq(1))?.header.view).toBe(2)
    expect(disk.durable('pre-prepare', seq(1), view(0))).toEqual(prePrepare(1))
    expect(disk.durable('prepared', seq(1), view(2))).toBeUndefined()
    expect(disk.durable('view-change', seq(0), view(3))).toEqual(viewChange(3))
    disk.frame(prepared(1, 2))
    expect(disk.durable('prepared', seq(1), view(2))).toBeUndefined()
    expect(disk.durableBody(seq(1), batchNumber(1).digest)).toBe(true)
    expect(disk.durableBody(seq(1), batchNumber(2).digest)).toBe(false)
  })

  test('serves a null batch by its mark', () => {
    const disk = diskWith([committed(1, { batch: NULL_BATCH })])
    expect(disk.readCommitted(all)).toMatchObject([{ seq: 1, batch: NULL_BATCH }])
  })
})

describe('[D5] faults of the simulated vote log', () => {
  test('a flipped bit is found at the next start, wherever it is', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed)
      const disk = diskWith(HISTORY, random)
      if (seed % 2 === 0) disk.cut(seq(3))
      expect(disk.flipBit(random)).toBe(true)
      disk.cutPower(random, [])
      expect(disk.recover()).toEqual({ votes: [AMNESIA], tornBytes: 0, lost: 'corrupt' })
    }
  })

  test('a flip is not made where it would look like a torn write', () => {
    const random = new Random(1)
    expect(new Disk(random).flipBit(random)).toBe(false)
    expect(diskWith([prePrepare(1)], random).flipBit(random)).toBe(false)
    expect(diskWith([prePrepare(1), prepared(1)], random).flipBit(random)).toBe(true)
  })

  test('a lost log begins anew with amnesia, which lasts', () => {
    const disk = diskWith(HISTORY)
    disk.cut(seq(3))
    disk.lose()
    expect(disk.recover()).toEqual({ votes: [AMNESIA], tornBytes: 0, lost: 'missing' })
    expect(disk.durable('amnesia', seq(0))).toEqual(AMNESIA)
    expect(disk.durable('prepared', seq(5))).toBeUndefined()
    expect([disk.servedFrom, disk.stableUpTo]).toEqual([0, 0])
    persist(disk, ordered(7))
    disk.cutPower(new Random(2), [])
    expect(disk.recover()).toEqual({ votes: [AMNESIA, ...ordered(7)], tornBytes: 0, lost: null })
  })

  test('[D1] what is durable and gone without a fault is a violation', () => {
    const disk = new Disk(new Random(1), true)
    persist(disk, ordered(1))
    disk.cutPower(new Random(3), [])
    persist(disk, ordered(2))
    expect(() => disk.recover()).toThrow(/was durable and is unreadable|is cut as a torn tail/)
  })
})
