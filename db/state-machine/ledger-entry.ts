import { digestOf } from '../../protocol/crypto.ts'
import type { LedgerEntry } from '../../protocol/messages.ts'
import { chainDigestOf, resultsDigestOf } from '../../protocol/signing.ts'
import type { Digest } from '../../protocol/types.ts'
import type { ChainRow, TransferRow } from '../rows.ts'
import { decodeTransfers, encodeTransfers } from './digests.ts'

/** [CP4] What one seq left, as it travels. `previous` is the chain below it. */
export function ledgerEntryOf(of: {
  readonly row: ChainRow
  readonly previous: Digest
  readonly transfers: readonly TransferRow[]
}): LedgerEntry {
  const { seq, batchDigest, repliesDigest } = of.row
  return { seq, previous: of.previous, batchDigest, repliesDigest, transfers: encodeTransfers(of.transfers) }
}

/** [NC9] c_n: what proves the entry, and that `previous` is the chain below it. */
export const chainDigestOfEntry = (entry: LedgerEntry): Digest => chainRowOf(entry).chain

export function chainRowOf({ seq, previous, batchDigest, repliesDigest, transfers }: LedgerEntry): ChainRow {
  const transfersDigest = digestOf(transfers)
  const resultsDigest = resultsDigestOf(repliesDigest, transfersDigest)
  const chain = chainDigestOf({ previous, seq, batchDigest, resultsDigest })
  return { seq, batchDigest, repliesDigest, transfersDigest, chain }
}

/**
 * The rows of an entry that the chain proved.
 * @throws Error when its transfers are not laid out as execution does: then a quorum executed what this program can't.
 */
export function rowsOfEntry(entry: LedgerEntry): {
  readonly row: ChainRow
  readonly transfers: readonly TransferRow[]
} {
  const transfers = decodeTransfers(entry.transfers, entry.seq)
  if (transfers === undefined) throw new Error(`seq ${entry.seq}: proven transfers that cannot be read`)
  return { row: chainRowOf(entry), transfers }
}
