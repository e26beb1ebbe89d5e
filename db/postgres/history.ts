import type { LedgerEntry } from '../../protocol/messages.ts'
import { chainDigestOf, resultsDigestOf } from '../../protocol/signing.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { ChainRow, TransferRow } from '../rows.ts'
import { transfersDigestOf } from '../state-machine/digests.ts'
import { ledgerEntryOf } from '../state-machine/ledger-entry.ts'
import type { RowMismatch } from '../store.ts'
import type { Session } from './session.ts'
import { COLUMNS, chainFrom, transferFrom } from './tables.ts'

/** How many seqs are read at once: a batch may have hundreds of transfers. */
const SEQS_PER_READ = 32
/** Of an entry without its transfers. */
const ENTRY_BYTES = 112

type Range = { readonly from: number; readonly to: number }
type ReadSeq = { readonly row: ChainRow | undefined; readonly transfers: TransferRow[] }

/** What there is of each seq of a range, and the chain below it; undefined: its row is missing. */
async function readRange(
  session: Session,
  { from, to }: Range,
  genesis: Digest,
): Promise<{ readonly below: Digest | undefined; readonly seqs: readonly ReadSeq[] }> {
  const values = [String(from), String(to)]
  const [chainRows, transferRows] = await Promise.all([
    session.rows({
      name: 'history-chain',
      text: `select ${COLUMNS.chain} from chain where seq between $1::bigint - 1 and $2::bigint`,
      values,
    }),
    session.rows({
      name: 'history-transfers',
      text: `select ${COLUMNS.transfers} from transfers where seq between $1::bigint and $2::bigint order by seq, index`,
      values,
    }),
  ])
  const chain = new Map(chainRows.map((row) => chainFrom(row)).map((row) => [row.seq as number, row]))
  const seqs = Array.from(
    { length: to - from + 1 },
    (_, i): ReadSeq => ({ row: chain.get(from + i), transfers: [] }),
  )
  for (const row of transferRows) {
    const transfer = transferFrom(row)
    seqs[transfer.seq - from]?.transfers.push(transfer)
  }
  return { below: from === 1 ? genesis : chain.get(from - 1)?.chain, seqs }
}

/** [CP4] From `upTo` downwards, newest first, up to `bytesMax`, at least one; ends where a row is missing. */
export async function readHistory(
  session: Session,
  want: { readonly upTo: Seq; readonly bytesMax: number },
  genesis: Digest,
): Promise<readonly LedgerEntry[]> {
  const entries: LedgerEntry[] = []
  let bytes = 0
  for (let to: number = want.upTo; to >= 1; to -= SEQS_PER_READ) {
    const from = Math.max(1, to - SEQS_PER_READ + 1)
    const { below, seqs } = await readRange(session, { from, to }, genesis)
    for (let i = seqs.length - 1; i >= 0; i--) {
      const { row, transfers } = seqs[i] ?? {}
      const previous = i === 0 ? below : seqs[i - 1]?.row?.chain
      if (row === undefined || transfers === undefined || previous === undefined) return entries
      const entry = ledgerEntryOf({ row, previous, transfers })
      bytes += ENTRY_BYTES + entry.transfers.length
      if (entries.length > 0 && bytes > want.bytesMax) return entries
      entries.push(entry)
    }
  }
  return entries
}

export type HistoryCheck = {
  /** Everything below it is as it was executed; where nothing is wrong, the seq above the range. */
  readonly soundBelow: number
  readonly mismatches: readonly RowMismatch[]
}

/**
 * [CP6] Whether chain rows are there, linked to the one below, and cover the transfers that are there. Stops after
 * `mismatchesMax`.
 */
export async function checkHistory(
  session: Session,
  range: Range & { readonly genesis: Digest; readonly mismatchesMax: number },
): Promise<HistoryCheck> {
  const mismatches: RowMismatch[] = []
  let soundBelow: number | undefined
  for (let from = Math.max(1, range.from); from <= range.to; from += SEQS_PER_READ) {
    const to = Math.min(range.to, from + SEQS_PER_READ - 1)
    const { below, seqs } = await readRange(session, { from, to }, range.genesis)
    let previous = below
    for (const [i, read] of seqs.entries()) {
      const found = mismatchesAt((from + i) as Seq, read, previous)
      if (found.length > 0) soundBelow ??= from + i
      mismatches.push(...found)
      previous = read.row?.chain
    }
    if (mismatches.length >= range.mismatchesMax) break
  }
  return { soundBelow: soundBelow ?? range.to + 1, mismatches }
}

/** Nothing is said of the link when the row below is missing: that is said of the row below. */
function mismatchesAt(seq: Seq, { row, transfers }: ReadSeq, previous: Digest | undefined): RowMismatch[] {
  const key = String(seq)
  if (row === undefined) return [{ table: 'chain', key, column: null, expected: 'a row', found: null }]
  const found: RowMismatch[] = []
  const { batchDigest, repliesDigest, transfersDigest } = row
  const actual = transfers.every(isExecuted) ? transfersDigestOf(transfers) : null
  if (actual !== transfersDigest) {
    found.push({ table: 'transfers', key, column: 'digest', expected: transfersDigest, found: actual })
  }
  if (previous !== undefined) {
    const resultsDigest = resultsDigestOf(repliesDigest, transfersDigest)
    const chain = chainDigestOf({ previous, seq, batchDigest, resultsDigest })
    if (chain !== row.chain) {
      found.push({ table: 'chain', key, column: 'chain', expected: chain, found: row.chain })
    }
  }
  return found
}

/** Whether execution may have made it: only of such a transfer is the encoding defined. */
function isExecuted({ index, debit, credit, debitEntry, creditEntry, ...links }: TransferRow): boolean {
  const numbers = [index, debitEntry, creditEntry]
  for (const link of [links.debitPrevious, links.creditPrevious]) {
    if (link !== null) numbers.push(link.seq, link.index)
  }
  const names = [debit, credit]
  return (
    numbers.every((number) => Number.isSafeInteger(number) && number >= 0) &&
    names.every((name) => NAME.test(name))
  )
}
const NAME = /^[!-~]{1,255}$/

/** [CP6] Transfers outside of every executed seq. */
export async function strayTransfers(session: Session, lastExecuted: Seq): Promise<readonly TransferRow[]> {
  const rows = await session.rows({
    name: 'stray-transfers',
    text: `select ${COLUMNS.transfers} from transfers where seq < 1 or seq > $1::bigint order by seq, index limit 100`,
    values: [String(lastExecuted)],
  })
  return rows.map((row) => transferFrom(row))
}
