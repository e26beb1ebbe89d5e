import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TransferRow } from '../../../db/rows.ts'
import { decodeTransfers, encodeTransfers } from '../../../db/state-machine/digests.ts'
import {
  chainDigestOfEntry,
  chainRowOf,
  ledgerEntryOf,
  rowsOfEntry,
} from '../../../db/state-machine/ledger-entry.ts'
import { decodeRows, encodeRows, partitionDigest } from '../../../db/state-tree/partition-node.ts'
import { isIn, markOf, ROOT } from '../../../db/state-tree/place.ts'
import { decodeRow, encodeRow } from '../../../db/state-tree/row-codec.ts'
import type { StateRow } from '../../../db/state-tree/state-row.ts'
import { StateTree } from '../../../db/state-tree/state-tree.ts'
import type { LedgerEntry, Partition } from '../../../protocol/messages.ts'
import type { Digest } from '../../../protocol/types.ts'
import {
  digestFromBytes,
  lane,
  principalId,
  requestNumber,
  seq,
  view,
  ZERO_DIGEST,
} from '../../../protocol/types.ts'

const numberArb = fc.oneof(fc.nat(300), fc.maxSafeNat())
const seqArb = numberArb.map(seq)
const idArb = fc.nat(2 ** 32 - 1).map(principalId)
const digestArb = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(digestFromBytes)
const moneyArb = fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n })
const accountIdArb = fc.stringMatching(/^[A-Za-z0-9@][A-Za-z0-9_.:-]{0,20}$/)
const linkArb = fc.option(
  fc.record({ seq: numberArb.map((n) => seq(n + (n === 0 ? 1 : 0))), index: fc.nat(4_000) }),
)
const textArb = fc.string({ unit: 'grapheme', maxLength: 20 })
const markArb = fc.record({ number: numberArb.map(requestNumber), requestDigest: digestArb })
const resultArb = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes))

const rowArb: fc.Arbitrary<StateRow> = fc.oneof(
  fc.record({
    table: fc.constant('accounts' as const),
    row: fc.record({
      id: accountIdArb,
      owner: fc.option(idArb),
      balance: moneyArb,
      opened: seqArb,
      version: seqArb,
      entries: numberArb,
      newest: linkArb,
    }),
  }),
  fc.record({
    table: fc.constant('customers' as const),
    row: fc.record({ owner: idArb, name: textArb, address: fc.option(textArb), version: seqArb }),
  }),
  fc.record({
    table: fc.constant('principals' as const),
    row: fc.record({
      id: idArb,
      role: fc.constantFrom('customer' as const, 'teller' as const, 'replica' as const),
      publicKey: digestArb,
      incarnation: numberArb,
      incarnationView: numberArb.map(view),
      version: seqArb,
    }),
  }),
  fc.record({
    table: fc.constant('client_table' as const),
    row: fc.record({
      client: idArb,
      lane: fc.nat(1_023).map(lane),
      real: fc.option(fc.tuple(markArb, resultArb).map(([mark, result]) => ({ ...mark, result }))),
      lookup: fc.option(markArb),
      version: seqArb,
    }),
  }),
)

/** In the tree's order, each key once. */
const sortedRows = (rows: readonly StateRow[]): StateRow[] => {
  const byPlace = new Map(rows.map((row) => [markOf(row).place, row]))
  return [...byPlace].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}
const rowsArb = fc.array(rowArb, { maxLength: 6 }).map(sortedRows)

/** Bytes that somebody damaged. */
const damagedArb = <T>(encoded: fc.Arbitrary<T>, encode: (value: T) => Buffer): fc.Arbitrary<Buffer> =>
  fc.tuple(encoded, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(2)).map(([value, at, byte, how]) => {
    const bytes = Buffer.from(encode(value))
    const place = bytes.length === 0 ? 0 : at % bytes.length
    if (how === 0) return bytes.subarray(0, place)
    if (how === 1) return Buffer.concat([bytes, Buffer.of(byte)])
    bytes[place] = byte
    return bytes
  })

describe('[CP4] rows on the wire', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(rowsArb, (rows) => {
        for (const row of rows) expect(decodeRow(encodeRow(row))).toEqual(row)
        expect(decodeRows(encodeRows(rows), ROOT)).toEqual(rows.map((row) => ({ row, mark: markOf(row) })))
      }),
    )
  })

  test('damaged, they are refused or are other rows in their one encoding; never a throw', () => {
    const bytesArb = fc.oneof(fc.uint8Array({ maxLength: 200 }), damagedArb(rowsArb, encodeRows))
    fc.assert(
      fc.property(bytesArb, (bytes) => {
        const rows = decodeRows(bytes, ROOT)
        if (rows === undefined) expect(partitionDigest({ kind: 'rows', rows: bytes })).toBeUndefined()
        else expect(encodeRows(rows.map(({ row }) => row)).equals(bytes)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('out of order, twice, or of another partition they are refused', () => {
    const rows = sortedRows(fc.sample(rowArb, { numRuns: 6, seed: 3 }))
    const [first, second] = rows
    if (first === undefined || second === undefined) throw new Error('too few rows')
    expect(decodeRows(encodeRows(rows), ROOT)).toHaveLength(rows.length)
    expect(decodeRows(encodeRows(rows.toReversed()), ROOT)).toBeUndefined()
    expect(decodeRows(encodeRows([first, first, second]), ROOT)).toBeUndefined()
    const partition = '0123'.split('').find((digit) => !isIn(markOf(first).place, digit as Partition))
    expect(decodeRows(encodeRows(rows), partition as Partition)).toBeUndefined()
  })

  test('[CP2] a node as it travels has the digest that its parent names', () => {
    fc.assert(
      fc.property(fc.array(rowArb, { maxLength: 60, size: 'max' }), (all) => {
        const rows = sortedRows(all)
        const tree = StateTree.empty.changed(rows.map(markOf))
        const byPlace = new Map(rows.map((row) => [markOf(row).place, row]))
        const wanted: { readonly partition: Partition; readonly digest: Digest }[] = [
          { partition: ROOT, digest: tree.root },
        ]
        for (let want = wanted.pop(); want !== undefined; want = wanted.pop()) {
          const view = tree.viewOf(want.partition)
          if (view.kind === 'rows') {
            const here = view.marks.flatMap(({ place }) => byPlace.get(place) ?? [])
            expect(partitionDigest({ kind: 'rows', rows: encodeRows(here) })).toBe(want.digest)
          } else {
            expect(partitionDigest(view)).toBe(want.digest)
            view.children.forEach((digest, digit) => {
              const partition = `${want?.partition}${digit}` as Partition
              if (digest !== null) wanted.push({ partition, digest })
            })
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  test('an inner node has four children', () => {
    const children = [null, ZERO_DIGEST, null, null]
    expect(partitionDigest({ kind: 'inner', children })).toBeDefined()
    expect(partitionDigest({ kind: 'inner', children: children.slice(1) })).toBeUndefined()
    expect(partitionDigest({ kind: 'inner', children: [...children, null] })).toBeUndefined()
  })
})

const transfersArb = fc.array(
  fc.record({
    seq: fc.constant(seq(9)),
    index: fc.nat(10_000),
    debit: accountIdArb,
    credit: accountIdArb,
    amount: moneyArb,
    debitEntry: numberArb,
    debitPrevious: linkArb,
    creditEntry: numberArb,
    creditPrevious: linkArb,
  }),
  { maxLength: 6 },
)

describe('[CP4] history on the wire', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(transfersArb, digestArb, digestArb, (transfers: TransferRow[], previous, batchDigest) => {
        expect(decodeTransfers(encodeTransfers(transfers), seq(9))).toEqual(transfers)
        const entry: LedgerEntry = {
          seq: seq(9),
          previous,
          batchDigest,
          repliesDigest: ZERO_DIGEST,
          transfers: encodeTransfers(transfers),
        }
        const { row, transfers: rows } = rowsOfEntry(entry)
        expect(rows).toEqual(transfers)
        expect(row).toEqual(chainRowOf(entry))
        expect(row.chain).toBe(chainDigestOfEntry(entry))
        expect(ledgerEntryOf({ row, previous, transfers: rows })).toEqual(entry)
      }),
    )
  })

  test('damaged, it is refused or is another in its one encoding; never a throw', () => {
    const bytesArb = fc.oneof(fc.uint8Array({ maxLength: 200 }), damagedArb(transfersArb, encodeTransfers))
    fc.assert(
      fc.property(bytesArb, (bytes) => {
        const transfers = decodeTransfers(bytes, seq(9))
        if (transfers !== undefined) expect(encodeTransfers(transfers).equals(bytes)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('a count of transfers beyond its bytes costs nothing', () => {
    const none = encodeTransfers([])
    none.writeUInt32BE(0xffff_ffff, none.length - 4)
    expect(decodeTransfers(none, seq(1))).toBeUndefined()
  })
})
