import { isUtf8 } from 'node:buffer'
import { Packr, Unpackr } from 'msgpackr'

/**
 * The subset of msgpack this project speaks: nil, booleans, numbers, strings, byte strings and arrays. Maps and
 * extensions are refused, and lengths are checked against the bytes that are there *before* msgpackr allocates for
 * them, so that ten hostile bytes cannot claim an array of 2^32. Integers between 2^32 and 2^53 travel as float64
 * (msgpackr's choice, exact), so readers check for integers themselves.
 *
 * Strings are UTF-8 without a byte order mark. Of anything else msgpackr makes one thing with its native part, which is
 * there on some platforms, and another thing without it: replicas would execute one request differently.
 */

const DEPTH_MAX = 16

const packr = new Packr({ useRecords: false, moreTypes: false, copyBuffers: false, int64AsType: 'bigint' })
const unpackr = new Unpackr({
  useRecords: false,
  moreTypes: false,
  copyBuffers: false,
  int64AsType: 'bigint',
})

/** A value of nested arrays over null, boolean, integer number, bigint (int64), string and bytes. */
export const pack = (value: unknown): Buffer => packr.pack(value)

/**
 * Undefined for anything that is not exactly one value of the subset. 64-bit integers come back as bigint, byte
 * strings as views into `bytes`.
 */
export function unpack(bytes: Uint8Array): unknown {
  if (!isOneValue(bytes)) return undefined
  try {
    return unpackr.unpack(bytes)
  } catch {
    return undefined
  }
}

/** Walks the tokens of one value, without recursion. */
function isOneValue(bytes: Uint8Array): boolean {
  const end = bytes.length
  // remaining[d]: values still to come at depth d.
  const remaining = [1]
  let at = 0
  while (remaining.length > 0) {
    const depth = remaining.length - 1
    const left = remaining[depth] ?? 0
    if (left === 0) {
      remaining.pop()
      continue
    }
    remaining[depth] = left - 1
    const token = bytes[at]
    if (token === undefined) return false
    at += 1
    const size = lengthBytes(token)
    if (size < 0 || at + size > end) return false
    const length = size === 0 ? token & inlineMask(token) : readLength(bytes, at, size)
    at += size
    switch (shapeOf(token)) {
      case 'scalar':
        at += scalarBytes(token)
        break
      case 'bytes':
        at += length
        break
      case 'string':
        if (length > end - at || !isText(bytes, at, at + length)) return false
        at += length
        break
      case 'array':
        // Each element takes a byte at least.
        if (length > end - at || depth + 1 >= DEPTH_MAX) return false
        remaining.push(length)
        break
    }
    if (at > end) return false
  }
  return at === end
}

function shapeOf(token: number): 'scalar' | 'bytes' | 'string' | 'array' {
  if ((token & 0xf0) === 0x90 || token === 0xdc || token === 0xdd) return 'array'
  if ((token & 0xe0) === 0xa0 || (token >= 0xd9 && token <= 0xdb)) return 'string'
  return token >= 0xc4 && token <= 0xc6 ? 'bytes' : 'scalar'
}

/** Names are ASCII, mostly: only others are worth a call. */
function isText(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    if ((bytes[at] ?? 0) < 0x80) continue
    const isMarked = bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf
    return !isMarked && isUtf8(bytes.subarray(from, to))
  }
  return true
}

/** How many bytes of length follow the token; -1 for a type outside the subset. */
function lengthBytes(token: number): number {
  if (token <= 0x7f || token >= 0xe0) return 0
  if ((token & 0xf0) === 0x80) return -1
  if (token < 0xc0) return 0
  switch (token) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return 0
    case 0xc4:
    case 0xd9:
      return 1
    case 0xc5:
    case 0xda:
    case 0xdc:
      return 2
    case 0xc6:
    case 0xdb:
    case 0xdd:
      return 4
    default:
      return token >= 0xca && token <= 0xd3 ? 0 : -1
  }
}

const inlineMask = (token: number): number =>
  (token & 0xf0) === 0x90 ? 0x0f : (token & 0xe0) === 0xa0 ? 0x1f : 0

/** 0xca and 0xcb are float32 and float64, 0xcc..0xcf uint8..uint64, 0xd0..0xd3 int8..int64. */
const scalarBytes = (token: number): number => {
  if (token < 0xca || token > 0xd3) return 0
  return token < 0xcc ? 4 << (token & 1) : 1 << (token & 3)
}

function readLength(bytes: Uint8Array, at: number, size: number): number {
  let length = 0
  for (let i = 0; i < size; i++) length = length * 256 + (bytes[at + i] ?? 0)
  return length
}
