import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  childOf,
  DEPTH_MAX,
  FAN_OUT,
  isIn,
  isPartition,
  markOf,
  type Place,
  pathOf,
  placeOf,
  ROOT,
  type RowChange,
  type RowDigest,
  type RowMark,
  rangeOf,
  rowDigestOf,
} from '../../../db/state-tree/place.ts'
import { encodeRow } from '../../../db/state-tree/row-codec.ts'
import type { StateRow } from '../../../db/state-tree/state-row.ts'
import { differingChildren, StateTree } from '../../../db/state-tree/state-tree.ts'
import { BUCKET_ROWS } from '../../../db/state-tree/tree-node.ts'
import type { Partition } from '../../../protocol/messages.ts'
import { principalId, seq } from '../../../protocol/types.ts'

/** Paths that agree in few, in many and in all of their bits. */
const pathArb = fc.oneof(
  fc.constantFrom('\x00'.repeat(8), `${'\x00'.repeat(7)}\x01`, '\xff'.repeat(8), '\x40'.repeat(8)),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)
const placeArb: fc.Arbitrary<Place> = fc
  .tuple(pathArb, fc.nat(14))
  .map(([path, rest]) => `${path}${'\x00'.repeat(15)}${String.fromCharCode(rest)}` as Place)
const digestArb = fc.nat(2).map((n) => String.fromCharCode(n).repeat(32) as RowDigest)
const markArb: fc.Arbitrary<RowMark> = fc.record({ place: placeArb, digest: digestArb })
const changeArb: fc.Arbitrary<RowChange> = fc.record({ place: placeArb, digest: fc.option(digestArb) })
const changesArb = fc.array(changeArb, { maxLength: 40, size: 'max' })
const partitionArb = fc
  .tuple(placeArb, fc.nat(DEPTH_MAX))
  .map(([place, digits]) => partitionOf(place, digits))

/** The partition of the first `digits` digits of a row's path. */
function partitionOf(place: Place, digits: number): Partition {
  const path = BigInt.asUintN(64, pathOf(place) + 2n ** 63n)
  return path.toString(FAN_OUT).padStart(DEPTH_MAX, '0').slice(0, digits) as Partition
}

type Rows = Map<Place, RowDigest>
const applied = (rows: Rows, changes: readonly RowChange[]): Rows => {
  const after = new Map(rows)
  for (const { place, digest } of changes) {
    if (digest === null) after.delete(place)
    else after.set(place, digest)
  }
  return after
}
const marks = (rows: Rows): RowMark[] =>
  [...rows].map(([place, digest]) => ({ place, digest })).sort((a, b) => (a.place < b.place ? -1 : 1))
const treeOf = (rows: Rows): StateTree => StateTree.empty.changed(marks(rows))

describe('[CP2] the partition tree', () => {
  test('depends on the set of rows alone, not on how they came', () => {
    fc.assert(
      fc.property(fc.array(changesArb, { maxLength: 6 }), (rounds) => {
        let rows: Rows = new Map()
        let tree = StateTree.empty
        for (const changes of rounds) {
          rows = applied(rows, changes)
          tree = tree.changed(changes)
          expect(tree.root).toBe(treeOf(rows).root)
          expect(tree.size).toBe(rows.size)
          expect(tree.marksAt(ROOT)).toEqual(marks(rows))
        }
      }),
    )
  })

  test('other rows have another root', () => {
    // A row's digest covers its key.
    const rowsOf = (changes: readonly RowChange[]): Rows =>
      new Map(
        [...applied(new Map(), changes)].map(([place, digest]) => {
          return [place, rowDigestOf(Buffer.from(place + digest, 'latin1'))]
        }),
      )
    fc.assert(
      fc.property(changesArb, changesArb, (a, b) => {
        const [rows, others] = [rowsOf(a), rowsOf(b)]
        const isSame = JSON.stringify(marks(rows)) === JSON.stringify(marks(others))
        expect(treeOf(rows).root === treeOf(others).root).toBe(isSame)
      }),
    )
  })

  test('in steps it comes to the same, each step over few rows', () => {
    fc.assert(
      fc.property(changesArb, changesArb, fc.integer({ min: 1, max: 10 }), (before, changes, rowsPerStep) => {
        const tree = StateTree.empty.changed(before)
        let taken = 0
        const counted = function* () {
          for (const change of changes) {
            taken++
            yield change
          }
        }
        const steps = tree.changing(counted(), rowsPerStep)
        let step = steps.next()
        for (let sofar = 0; step.done !== true; step = steps.next()) {
          expect(taken - sofar).toBeLessThanOrEqual(rowsPerStep)
          sofar = taken
        }
        expect(step.value.root).toBe(tree.changed(changes).root)
      }),
    )
  })

  test('what did not change is the same tree', () => {
    const tree = treeOf(applied(new Map(), fc.sample(changeArb, { numRuns: 60, seed: 7 })))
    expect(tree.size).toBeGreaterThan(BUCKET_ROWS)
    expect(tree.changed(tree.marksAt(ROOT))).toBe(tree)
  })

  test('the digest of a partition is that of its node, or of its rows below a leaf', () => {
    fc.assert(
      fc.property(changesArb, partitionArb, (changes, partition) => {
        const rows = applied(new Map(), changes)
        const inside = marks(rows).filter(({ place }) => isIn(place, partition))
        const tree = treeOf(rows)
        expect(tree.marksAt(partition)).toEqual(inside)
        const onlyThose = StateTree.empty.changed(inside)
        expect(tree.digestAt(partition)).toBe(onlyThose.digestAt(partition))
        if (inside.length === 0) expect(tree.digestAt(partition)).toBeNull()
        const view = tree.viewOf(partition)
        if (view.kind === 'rows') expect(view.marks).toEqual(inside)
        else {
          expect(inside.length).toBeGreaterThan(BUCKET_ROWS)
          expect(view.children).toEqual(
            Array.from({ length: FAN_OUT }, (_, digit) => tree.digestAt(childOf(partition, digit))),
          )
        }
        for (const { place, digest } of inside) expect(tree.rowDigestAt(place)).toBe(digest)
      }),
    )
  })

  test('[CP4] a partition is replaced as if each of its rows were', () => {
    fc.assert(
      fc.property(changesArb, partitionArb, fc.array(markArb), (changes, partition, rows) => {
        const before = applied(new Map(), changes)
        const inside = rows.filter(({ place }) => isIn(place, partition))
        const gone = [...before.keys()].filter((place) => isIn(place, partition))
        const after = applied(before, [...gone.map((place) => ({ place, digest: null })), ...inside])
        expect(treeOf(before).replaced(partition, inside).root).toBe(treeOf(after).root)
      }),
    )
  })

  test('[CP4] the changes to another tree are those that differ, and lead to it', () => {
    fc.assert(
      fc.property(changesArb, changesArb, (a, b) => {
        const rows = applied(new Map(), a)
        const [tree, other] = [treeOf(rows), treeOf(applied(rows, b))]
        const changes = tree.changesTo(other)
        for (const { place, digest } of changes) expect(tree.rowDigestAt(place) ?? null).not.toBe(digest)
        expect(tree.changed(changes).root).toBe(other.root)
      }),
    )
  })

  test('[CP2] keys made to have one path cost a path of nodes, no more', () => {
    const path = '\x5a'.repeat(8)
    const places = Array.from(
      { length: 40 },
      (_, i) => `${path}${'\x00'.repeat(15)}${String.fromCharCode(i)}` as Place,
    )
    const tree = StateTree.empty.changed(
      places.map((place) => ({ place, digest: '\x01'.repeat(32) as RowDigest })),
    )
    let partition = ROOT
    for (let view = tree.viewOf(partition); view.kind === 'inner'; view = tree.viewOf(partition)) {
      const digits = view.children.flatMap((digest, digit) => (digest === null ? [] : [digit]))
      expect(digits).toHaveLength(1)
      partition = childOf(partition, digits[0] ?? 0)
    }
    expect(partition).toHaveLength(DEPTH_MAX)
    expect(tree.marksAt(partition).map(({ place }) => place)).toEqual(places)
  })
})

describe('[CP4] partitions', () => {
  test('are ranges of the path, in the order of places', () => {
    fc.assert(
      fc.property(placeArb, partitionArb, (place, partition) => {
        const { from, to } = rangeOf(partition)
        const path = pathOf(place)
        expect(path >= from && path <= to).toBe(isIn(place, partition))
        expect(isIn(place, partitionOf(place, partition.length))).toBe(true)
      }),
    )
    expect(rangeOf(ROOT)).toEqual({ from: -(2n ** 63n), to: 2n ** 63n - 1n })
    expect(rangeOf('3' as Partition)).toEqual({ from: 2n ** 62n, to: 2n ** 63n - 1n })
  })

  test('are named by digits', () => {
    expect(['', '0', '3210', '3'.repeat(DEPTH_MAX)].map(isPartition)).toEqual([true, true, true, true])
    expect(['4', 'a', ' ', '0\n', '0'.repeat(DEPTH_MAX + 1)].map(isPartition)).toEqual(Array(5).fill(false))
  })

  test('the place of a row is fixed for ever', () => {
    const hex = (place: Place) => Buffer.from(place, 'latin1').toString('hex')
    expect(hex(placeOf('accounts', ['alice']))).toMatchInlineSnapshot(
      `"f893b6ad739e42e409014da3452ea6582051788737023785"`,
    )
    expect(hex(placeOf('client_table', [1000, 3]))).toMatchInlineSnapshot(
      `"eaa757b254c745bcb3bf25321970c58d5a880f38711f0eea"`,
    )
  })
})

/**
 * What a replica fetches that lacks one row in a hundred. The leaves are as full with a quarter of the rows: 15,625
 * stands for 1,000,000 and 31,250 for 2,000,000, between which the cost has its extremes.
 */
describe.each([15_625, 31_250])('[CP4] one row in a hundred of %i', (count) => {
  const account = (i: number, version: number): StateRow => ({
    table: 'accounts',
    row: {
      id: `account-${i}`,
      owner: principalId(1000),
      balance: 1_000n,
      opened: seq(0),
      version: seq(version),
      entries: version,
      newest: version === 0 ? null : { seq: seq(version), index: 0 },
    },
  })
  const rows = Array.from({ length: count }, (_, i) => markOf(account(i, 1)))
  const tree = StateTree.empty.changed(rows)
  const rowBytes = 4 + encodeRow(account(count, 1)).length
  /** A node's partition and frame. */
  const nodeBytes = DEPTH_MAX / 2

  /** Bytes of the nodes that differ, as a share of the bytes of all rows. */
  const fetched = (lacking: readonly RowMark[]): number => {
    const here = tree.changed(lacking.map(({ place }) => ({ place, digest: '\x00'.repeat(32) as RowDigest })))
    let bytes = 0
    const wanted = [ROOT]
    for (let partition = wanted.pop(); partition !== undefined; partition = wanted.pop()) {
      const view = tree.viewOf(partition)
      bytes += nodeBytes
      if (view.kind === 'rows') bytes += rowBytes * view.marks.length
      else {
        bytes += 34 * view.children.length
        wanted.push(...differingChildren(here, partition, view.children).map((child) => child.partition))
      }
    }
    return bytes / (rowBytes * count)
  }

  test('scattered: 15 % of the bytes at most, and 11 as computed', () => {
    // By number, so anywhere in the tree.
    const share = fetched(rows.filter((_, i) => i % 100 === 0))
    expect(share).toBeGreaterThan(0.05)
    expect(share).toBeLessThan(0.11)
  })

  test('neighbours: 3 % of the bytes at most, and 2 as computed', () => {
    const first = Math.floor(count / 3)
    const share = fetched(tree.marksAt(ROOT).slice(first, first + count / 100))
    expect(share).toBeGreaterThan(0.01)
    expect(share).toBeLessThan(0.02)
  })
})
