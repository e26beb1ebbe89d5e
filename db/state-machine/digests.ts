import { digestOf } from '../../protocol/crypto.ts'
import type { Request } from '../../protocol/messages.ts'
import type { TransferId } from '../../protocol/operations.ts'
import { writeUint64 } from '../../protocol/signing.ts'
import type { Digest } from '../../protocol/types.ts'
import type { TransferRow } from '../rows.ts'

/**
 * [NC9] What executing a batch did to one of its requests. `executed` changed the lane; `stale` did not, because the
 * lane had this number or a higher one; `void` did not, because its client or lane is not admitted.
 */
export type RequestOutcome =
  | { readonly kind: 'executed'; readonly result: Uint8Array }
  | { readonly kind: 'stale' }
  | { readonly kind: 'void' }

const OUTCOME = { executed: 0, stale: 1, void: 2 } as const

const REPLIES_DOMAIN = Buffer.from('pbft-ledger replies', 'latin1')
const TRANSFERS_DOMAIN = Buffer.from('pbft-ledger transfers', 'latin1')
const REPLY_BYTES = 4 + 4 + 8 + 32 + 1 + 32
/** Of one side of a transfer, beside the account's name. */
const SIDE_BYTES = 1 + 8 + 8 + 4

/**
 * [NC9] domain | count u32 | per request: client u32 | lane u32 | number u64 | request digest 32 | outcome u8 |
 * digest of the result bytes 32, zero unless executed. Big-endian. A null batch has count 0.
 */
export function repliesDigestOf(requests: readonly Request[], outcomes: readonly RequestOutcome[]): Digest {
  const bytes = Buffer.alloc(REPLIES_DOMAIN.length + 4 + requests.length * REPLY_BYTES)
  bytes.set(REPLIES_DOMAIN, 0)
  let at = bytes.writeUInt32BE(requests.length, REPLIES_DOMAIN.length)
  requests.forEach((request, i) => {
    const outcome = outcomes[i]
    if (outcome === undefined) throw new Error('a request without an outcome')
    at = bytes.writeUInt32BE(request.client, at)
    at = bytes.writeUInt32BE(request.lane, at)
    at = writeUint64(bytes, request.number, at)
    at += bytes.write(request.digest, at, 'hex')
    bytes[at++] = OUTCOME[outcome.kind]
    if (outcome.kind === 'executed') bytes.write(digestOf(outcome.result), at, 'hex')
    at += 32
  })
  return digestOf(bytes)
}

/**
 * [NC9] domain | count u32 | per transfer: index u32 | amount i64 | debit and credit, each: length u8 and ASCII |
 * entry u64 | previous seq u64 and index u32, both 0 when there is none. Big-endian; the seq is in the chain's link.
 */
export function transfersDigestOf(transfers: readonly TransferRow[]): Digest {
  let length = TRANSFERS_DOMAIN.length + 4
  for (const { debit, credit } of transfers) length += 4 + 8 + debit.length + credit.length + 2 * SIDE_BYTES
  const bytes = Buffer.allocUnsafe(length)
  bytes.set(TRANSFERS_DOMAIN, 0)
  let at = bytes.writeUInt32BE(transfers.length, TRANSFERS_DOMAIN.length)
  for (const transfer of transfers) {
    at = bytes.writeUInt32BE(transfer.index, at)
    at = bytes.writeBigInt64BE(transfer.amount, at)
    at = writeAscii(bytes, transfer.debit, at)
    at = writeLink(bytes, { entry: transfer.debitEntry, previous: transfer.debitPrevious }, at)
    at = writeAscii(bytes, transfer.credit, at)
    at = writeLink(bytes, { entry: transfer.creditEntry, previous: transfer.creditPrevious }, at)
  }
  return digestOf(bytes)
}

type Link = { readonly entry: number; readonly previous: TransferId | null }

function writeLink(bytes: Buffer, { entry, previous }: Link, at: number): number {
  const seqAt = writeUint64(bytes, entry, at)
  const indexAt = writeUint64(bytes, previous?.seq ?? 0, seqAt)
  return bytes.writeUInt32BE(previous?.index ?? 0, indexAt)
}

function writeAscii(bytes: Buffer, text: string, at: number): number {
  bytes[at] = text.length
  return at + 1 + bytes.write(text, at + 1, 'latin1')
}
