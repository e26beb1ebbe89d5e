import { chainDigestOf, resultsDigestOf } from '../../protocol/signing.ts'
import type { Digest } from '../../protocol/types.ts'
import { HistoryRound } from '../history-round.ts'
import type { ChainRow, TransferRow } from '../rows.ts'
import { transfersDigestOf } from '../state-machine/digests.ts'
import { type Place, pathOf, ROOT, type RowDigest } from '../state-tree/place.ts'
import { keyOf } from '../state-tree/state-row.ts'
import type { StateTree } from '../state-tree/state-tree.ts'
import type { RowMismatch } from '../store.ts'
import type { MemoryTables } from './tables.ts'

/** The rows are looked at in as many parts, by the first bits of their places. */
const PART_BITS = 12
const PARTS = 2 ** PART_BITS

const partOf = (place: Place): number =>
  ((place.charCodeAt(0) << 8) | place.charCodeAt(1)) >>> (16 - PART_BITS)

/** The rows of one seq, and the chain below, as they were when they matched. */
type Matched = { readonly previous: Digest; readonly transfers: readonly TransferRow[] }

/** [CP6] Goes round all rows and all history, a share at a time. */
export class Scrub {
  #part = 0
  readonly #round = new HistoryRound()
  /** By the chain row. Rows are values: as long as the very same ones stand there, they need no new digests. */
  readonly #matched = new WeakMap<ChainRow, Matched>()

  /** Rows that are not as the tree has them, in the parts whose turn it is. */
  rows(tables: MemoryTables, tree: StateTree, share: number): RowMismatch[] {
    const count = Math.min(PARTS, Math.ceil(share * PARTS))
    const first = this.#part
    this.#part = (first + count) % PARTS
    const isDue = (place: Place) => (partOf(place) - first + PARTS) % PARTS < count
    const missing = new Map<Place, RowDigest>()
    for (const { place, digest } of tree.marksAt(ROOT)) if (isDue(place)) missing.set(place, digest)
    const mismatches: RowMismatch[] = []
    for (const row of tables.stateRows()) {
      const { place, digest: found } = tables.markOf(row)
      if (!isDue(place)) continue
      const expected = missing.get(place)
      missing.delete(place)
      if (expected === found) continue
      mismatches.push(digestMismatch({ table: row.table, key: keyOf(row).join('/') }, { expected, found }))
    }
    for (const [place, expected] of missing) {
      const where = { table: 'partition', key: String(pathOf(place)) }
      mismatches.push(digestMismatch(where, { expected, found: undefined }))
    }
    return mismatches
  }

  /** Chain rows and transfers that do not match, of the seqs whose turn it is: 1 to `lastExecuted`. */
  history(
    tables: MemoryTables,
    { genesis, lastExecuted }: { readonly genesis: Digest; readonly lastExecuted: number },
    share: number,
  ): RowMismatch[] {
    const { from, to } = this.#round.next({ lastExecuted, share })
    const mismatches: RowMismatch[] = []
    for (let seq = from; seq <= to; seq++) {
      const previous = seq === 1 ? genesis : tables.chainRow(seq - 1)?.chain
      mismatches.push(
        ...this.#mismatchesAt(seq, {
          previous,
          row: tables.chainRow(seq),
          transfers: tables.transfersAt(seq),
        }),
      )
    }
    return mismatches
  }

  #mismatchesAt(seq: number, found: HistoryAt): readonly RowMismatch[] {
    const { previous, row, transfers } = found
    const matched = row === undefined ? undefined : this.#matched.get(row)
    if (matched !== undefined && matched.previous === previous && isSame(matched.transfers, transfers)) {
      return []
    }
    const mismatches = historyMismatches(seq, found)
    if (row !== undefined && previous !== undefined && mismatches.length === 0) {
      this.#matched.set(row, { previous, transfers: [...transfers] })
    }
    return mismatches
  }
}

const isSame = (a: readonly TransferRow[], b: readonly TransferRow[]): boolean =>
  a.length === b.length && a.every((row, index) => row === b[index])

/** What stands at one seq. */
type HistoryAt = {
  /** Undefined: the chain row below is missing, which is that row's mismatch. */
  readonly previous: Digest | undefined
  readonly row: ChainRow | undefined
  readonly transfers: readonly TransferRow[]
}

/** One seq's rows against each other and the chain below. */
export function historyMismatches(seq: number, found: HistoryAt): RowMismatch[] {
  const { previous, row } = found
  const key = String(seq)
  if (row === undefined) return [{ table: 'chain', key, column: null, expected: 'a row', found: null }]
  const mismatches: RowMismatch[] = []
  const transfers = transfersDigestOf(found.transfers)
  if (transfers !== row.transfersDigest) {
    mismatches.push({
      table: 'transfers',
      key,
      column: 'digest',
      expected: row.transfersDigest,
      found: transfers,
    })
  }
  if (previous !== undefined) {
    const resultsDigest = resultsDigestOf(row.repliesDigest, row.transfersDigest)
    const chain = chainDigestOf({ previous, seq, batchDigest: row.batchDigest, resultsDigest })
    if (chain !== row.chain) {
      mismatches.push({ table: 'chain', key, column: 'chain', expected: chain, found: row.chain })
    }
  }
  return mismatches
}

function digestMismatch(
  where: Pick<RowMismatch, 'table' | 'key'>,
  { expected, found }: { readonly expected: RowDigest | undefined; readonly found: RowDigest | undefined },
): RowMismatch {
  const column = expected === undefined || found === undefined ? null : 'digest'
  return { ...where, column, expected: hexOf(expected), found: hexOf(found) }
}

const hexOf = (digest: RowDigest | undefined): string | null =>
  digest === undefined ? null : Buffer.from(digest, 'latin1').toString('hex')
