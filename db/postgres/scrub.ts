import type { Partition } from '../../protocol/messages.ts'
import type { Digest } from '../../protocol/types.ts'
import { HistoryRound } from '../history-round.ts'
import { FAN_OUT, type Place, pathOf, type RowDigest, rangeOf } from '../state-tree/place.ts'
import { STATE_TABLES } from '../state-tree/state-row.ts'
import type { RowMismatch } from '../store.ts'
import type { HeldState } from './held-states.ts'
import { checkHistory, type HistoryCheck } from './history.ts'
import { isMisplaced, keyText, misplaced, type StoredRow, storedRow } from './stored-rows.ts'
import { STORED } from './tables.ts'

/** Rows are read in as many parts as there are partitions of so many digits. */
const PART_DIGITS = 6
const PARTS = FAN_OUT ** PART_DIGITS
/** Of a million rows: 2,000 at once. */
const PARTS_PER_READ = 8
/** One is enough to repair all; more are for the operator to see. */
const NAMED_MAX = 100

const partitionOf = (part: number): Partition =>
  part.toString(FAN_OUT).padStart(PART_DIGITS, '0') as Partition

/** [CP6] Goes round all rows and all history, a share at a time. */
export class Scrub {
  #part = 0
  readonly #round = new HistoryRound()

  /** Rows of the state that are not as its tree has them, in the parts whose turn it is. */
  async rows(state: HeldState, share: number): Promise<readonly RowMismatch[]> {
    const mismatches: RowMismatch[] = []
    for (let left = Math.min(PARTS, Math.ceil(share * PARTS)); left > 0; ) {
      const from = this.#part
      const count = Math.min(left, PARTS_PER_READ, PARTS - from)
      this.#part = (from + count) % PARTS
      left -= count
      mismatches.push(...(await mismatchesIn(state, { from, to: from + count - 1 })))
    }
    return mismatches.slice(0, NAMED_MAX)
  }

  /** Of the seqs whose turn it is: 1 to the state's. */
  async history(state: HeldState, genesis: Digest, share: number): Promise<HistoryCheck> {
    const range = this.#round.next({ lastExecuted: state.position.lastExecuted, share })
    return checkHistory(state.session, { ...range, genesis, mismatchesMax: NAMED_MAX })
  }
}

async function mismatchesIn(
  { session, tree }: HeldState,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<RowMismatch[]> {
  const values = [String(rangeOf(partitionOf(from)).from), String(rangeOf(partitionOf(to)).to)]
  const reads = STATE_TABLES.map(async (table) => {
    const rows = await session.rows({
      name: `scrub-${table}`,
      text: `select ${STORED[table]} from ${table} where path between $1::bigint and $2::bigint`,
      values,
    })
    return rows.map((row) => storedRow(table, row))
  })
  const stored = (await Promise.all(reads)).flat()
  const expected = new Map<Place, RowDigest>()
  for (let part = from; part <= to; part++) {
    for (const { place, digest } of (await tree).marksAt(partitionOf(part))) expected.set(place, digest)
  }
  return compared(stored, expected)
}

/** Of a row that is missing no more is known than its place. */
function compared(stored: readonly StoredRow[], expected: Map<Place, RowDigest>): RowMismatch[] {
  const mismatches: RowMismatch[] = []
  for (const row of stored) {
    const { place, digest } = row.mark
    if (isMisplaced(row)) {
      mismatches.push(misplaced(row))
      continue
    }
    const should = expected.get(place)
    expected.delete(place)
    if (should !== digest) {
      const column = should === undefined ? null : 'digest'
      const where = { table: row.state.table, key: keyText(row.state), column }
      mismatches.push({ ...where, expected: hexOf(should), found: hexOf(digest) })
    }
  }
  for (const [place, digest] of expected) {
    const where = { table: 'partition', key: String(pathOf(place)), column: null }
    mismatches.push({ ...where, expected: hexOf(digest), found: null })
  }
  return mismatches
}

const hexOf = (digest: RowDigest | undefined): string | null =>
  digest === undefined ? null : Buffer.from(digest, 'latin1').toString('hex')
