import { digestOf } from '../../protocol/crypto.ts'
import type { Request } from '../../protocol/messages.ts'
import type { TransferId } from '../../protocol/operations.ts'
import { writeUint64 } from '../../protocol/signing.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { TransferRow } from '../rows.ts'
import { type ByteReader, decodedWhole, LayoutError } from '../state-tree/bytes.ts'

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
const TRANSFER_BYTES_MIN = 4 + 8 + 2 * SIDE_BYTES

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

/** [NC9] What a batch's transfers put into the chain. */
export const transfersDigestOf = (transfers: readonly TransferRow[]): Digest =>
  digestOf(encodeTransfers(transfers))

/**
 * [NC9] domain | count u32 | per transfer: index u32 | amount i64 | debit and credit, each: length u8 and ASCII |
 * entry u64 | previous seq u64 and index u32, both 0 when there is none. Big-endian; the seq is in the chain's link.
 */
export function encodeTransfers(transfers: readonly TransferRow[]): Buffer {
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
  return bytes
}

/** Total: the transfers of `seq`, or undefined for bytes that no transfers encode to. */
export function decodeTransfers(bytes: Uint8Array, seq: Seq): TransferRow[] | undefined {
  const transfers = decodedWhole(bytes, (reader): TransferRow[] => {
    reader.raw(TRANSFERS_DOMAIN.length)
    return Array.from(counted(reader), () => readTransfer(reader, seq))
  })
  // What differs from the one encoding, the domain for one, shows here.
  return transfers !== undefined && encodeTransfers(transfers).equals(bytes) ? transfers : undefined
}

function readTransfer(reader: ByteReader, seq: Seq): TransferRow {
  const index = reader.u32()
  const amount = reader.i64()
  const debit = readAscii(reader)
  const [debitEntry, debitPrevious] = readLink(reader)
  const credit = readAscii(reader)
  const [creditEntry, creditPrevious] = readLink(reader)
  return { seq, index, debit, credit, amount, debitEntry, debitPrevious, creditEntry, creditPrevious }
}

/** As many nothings as the count says; no more than bytes can hold. */
function counted(reader: ByteReader): { readonly length: number } {
  const length = reader.u32()
  if (length * TRANSFER_BYTES_MIN > reader.remaining) throw new LayoutError('more transfers than bytes')
  return { length }
}

function readLink(reader: ByteReader): readonly [entry: number, previous: TransferId | null] {
  const entry = reader.u64()
  const previous = { seq: reader.u64() as Seq, index: reader.u32() }
  // No transfer is at seq 0.
  return [entry, previous.seq === 0 ? null : previous]
}

const readAscii = (reader: ByteReader): string => reader.raw(reader.u8()).toString('latin1')

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
