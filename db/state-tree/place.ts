import { digestOf } from '../../protocol/crypto.ts'
import type { Partition } from '../../protocol/messages.ts'
import { digestToBytes } from '../../protocol/types.ts'
import { ByteWriter } from './bytes.ts'
import { encodeRow } from './row-codec.ts'
import { keyOf, type RowKey, type StateRow, type StateTable, TABLE_TAGS } from './state-row.ts'

/**
 * Where a row is in the tree: the first PLACE_BYTES of its key's digest, one character per byte. Rows are ordered by
 * it. Its first 64 bits are the row's path, from which the tree takes its shape; the rest keeps rows apart whose
 * clients searched for keys of one path, and is long enough that nobody finds two keys of one place.
 */
export type Place = string & { readonly __place: true }
/** 32 bytes, one character per byte. */
export type RowDigest = string & { readonly __rowDigest: true }

/** All that the tree keeps of a row. */
export type RowMark = { readonly place: Place; readonly digest: RowDigest }
/** `digest` null: the row is gone. */
export type RowChange = { readonly place: Place; readonly digest: RowDigest | null }

export const PLACE_BYTES = 24
export const ROW_DIGEST_BYTES = 32
export const PATH_BITS = 64n
/** A digit of a partition is this many bits of the path. */
export const DIGIT_BITS = 2
export const FAN_OUT = 2 ** DIGIT_BITS
/** A partition has at most so many digits. */
export const DEPTH_MAX = 64 / DIGIT_BITS

const KEY_DOMAIN = Buffer.from('pbft-ledger key', 'latin1')
const ROW_DOMAIN = Buffer.from('pbft-ledger row', 'latin1')
/** A path is stored as a signed number, in the order of the digests' bytes. */
const PATH_BIAS = 2n ** (PATH_BITS - 1n)

/** The digest of `table tag u8 | per part of the key: number as u64, or length u32 and UTF-8`. */
export function placeOf(table: StateTable, key: RowKey): Place {
  const writer = new ByteWriter().raw(KEY_DOMAIN).u8(TABLE_TAGS[table])
  for (const part of key) {
    if (typeof part === 'number') writer.u64(part)
    else writer.text(part)
  }
  return digestToBytes(digestOf(writer.finish())).toString('latin1', 0, PLACE_BYTES) as Place
}

export const placeOfRow = (row: StateRow): Place => placeOf(row.table, keyOf(row))

/** The digest of an encoded row: over every column. */
export const rowDigestOf = (encoded: Uint8Array): RowDigest =>
  digestToBytes(digestOf(Buffer.concat([ROW_DOMAIN, encoded]))).toString('latin1') as RowDigest

export const markOf = (row: StateRow): RowMark => ({
  place: placeOfRow(row),
  digest: rowDigestOf(encodeRow(row)),
})

/** What a database keeps beside the row, so that the rows of a partition are one range: a signed 64-bit number. */
export const pathOf = (place: Place): bigint =>
  Buffer.from(place.slice(0, 8), 'latin1').readBigUInt64BE() - PATH_BIAS

export function digitAt(place: Place, depth: number): number {
  const shift = 8 - DIGIT_BITS - ((depth * DIGIT_BITS) % 8)
  return (place.charCodeAt((depth * DIGIT_BITS) >>> 3) >>> shift) & (FAN_OUT - 1)
}

export const ROOT = '' as Partition
export const childOf = (partition: Partition, digit: number): Partition => `${partition}${digit}` as Partition

const PARTITION_PATTERN = new RegExp(`^[0-${FAN_OUT - 1}]{0,${DEPTH_MAX}}$`)
export const isPartition = (text: string): text is Partition => PARTITION_PATTERN.test(text)

/** Whether the row at `place` is in the partition. */
export function isIn(place: Place, partition: Partition): boolean {
  for (let depth = 0; depth < partition.length; depth++) {
    if (digitAt(place, depth) !== partition.charCodeAt(depth) - 48) return false
  }
  return true
}

/** The paths of a partition, both ends included. */
export function rangeOf(partition: Partition): { readonly from: bigint; readonly to: bigint } {
  let prefix = 0n
  for (const digit of partition) prefix = (prefix << BigInt(DIGIT_BITS)) | BigInt(digit)
  const bitsBelow = PATH_BITS - BigInt(DIGIT_BITS * partition.length)
  const from = (prefix << bitsBelow) - PATH_BIAS
  return { from, to: from + (1n << bitsBelow) - 1n }
}
