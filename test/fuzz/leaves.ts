import type { Random } from '../../chaos/sim/random.ts'
import { binary } from './tree.ts'

/** Single values, written in ways that `pack` never uses or at the edges of what may be read. */
const HOSTILE: readonly Buffer[] = [
  'c0',
  'c2',
  'c3',
  '00',
  '7f',
  'ff',
  'e0',
  // Integers in more bytes than they need.
  'cc01',
  'cd0001',
  'ce00000001',
  'cf0000000000000001',
  'd001',
  'd10001',
  'd200000001',
  'd30000000000000001',
  // At and beyond 2^53, and negative.
  'cf001fffffffffffff',
  'cf0020000000000000',
  'cfffffffffffffffff',
  'd3ffffffffffffffff',
  'd38000000000000000',
  'd0ff',
  'ceffffffff',
  'cf0000000100000000',
  // Floats: 1, -0, 0.5, NaN, infinity, 2^53 - 1, 2^53, 2^64, 1e300.
  'ca3f800000',
  'cb3ff0000000000000',
  'cb8000000000000000',
  'ca80000000',
  'cb3fe0000000000000',
  'cb7ff8000000000000',
  'cb7ff0000000000000',
  'cbfff0000000000000',
  'cb433fffffffffffff',
  'cb4340000000000000',
  'cb43f0000000000000',
  'cb7e37e43c8800759c',
  // Strings: empty, long heads, not UTF-8, overlong, half a pair, cut short, a byte order mark, a zero.
  'a0',
  'd90161',
  'da000161',
  'db0000000161',
  'a1ff',
  'a2c080',
  'a3eda080',
  'a2e282',
  'a3efbbbf',
  'a100',
  // Byte strings: empty, long heads.
  'c400',
  'c50000',
  'c600000000',
  // Arrays, maps, extensions, the byte that is never used.
  '90',
  'dc0000',
  'dd00000000',
  '80',
  '81c0c0',
  'de0000',
  'df00000000',
  'd40100',
  'd6ff00000000',
  'c70001',
  'c90000000001',
  'c1',
  // Lengths of what is not there.
  'dcffff',
  'ddffffffff',
  'ddfffffffe',
  'c6ffffffff',
  'dbffffffff',
  'c5ffff',
  'dfffffffff',
  'c9ffffffff01',
].map((hex) => Buffer.from(hex, 'hex'))

const LONG_STRINGS: readonly Buffer[] = [
  `\ufeff${'a'.repeat(70)}`,
  'é'.repeat(40),
  '🙂'.repeat(90),
  'a'.repeat(401),
].map(text)

export const hostileLeaf = (random: Random): Buffer =>
  random.chance(0.05) ? random.pick(LONG_STRINGS) : random.pick(HOSTILE)

function text(value: string): Buffer {
  const content = Buffer.from(value)
  const head = Buffer.alloc(3)
  head[0] = 0xda
  head.writeUInt16BE(content.length, 1)
  return Buffer.concat([head, content])
}

/** An integer as it is to be written: in any of the ways that are long enough for it. */
export function integerLeaf(value: number, random: Random): Buffer {
  const ways: (() => Buffer)[] = [() => wide(0xcf, value), () => float(value)]
  if (value < 2 ** 32) ways.push(() => sized(0xce, value, 4))
  if (value < 2 ** 16) ways.push(() => sized(0xcd, value, 2))
  if (value < 128)
    ways.push(
      () => Buffer.of(value),
      () => sized(0xcc, value, 1),
    )
  return random.pick(ways)()
}

function sized(token: number, value: number, bytes: number): Buffer {
  const out = Buffer.alloc(1 + bytes)
  out[0] = token
  out.writeUIntBE(value, 1, bytes)
  return out
}

function wide(token: number, value: number): Buffer {
  const out = Buffer.alloc(9)
  out[0] = token
  out.writeBigUInt64BE(BigInt(value), 1)
  return out
}

function float(value: number): Buffer {
  const out = Buffer.alloc(9)
  out[0] = 0xcb
  out.writeDoubleBE(value, 1)
  return out
}

export const isInteger = ([token = 0]: Uint8Array): boolean =>
  token <= 0x7f || token === 0xcb || (token >= 0xcc && token <= 0xd3)

/** The length of a short byte string, such as a digest or a signature; -1 for another value. */
export const binaryLength = (leaf: Uint8Array): number => (leaf[0] === 0xc4 ? (leaf[1] ?? 0) : -1)

export const randomBinary = (length: number, random: Random): Buffer => binary(random.bytes(length))

/** What a string holds, as it is written; undefined for another value. */
export function stringIn(leaf: Uint8Array): Buffer | undefined {
  const [token = 0] = leaf
  const isShort = (token & 0xe0) === 0xa0
  if (!isShort && (token < 0xd9 || token > 0xdb)) return undefined
  return Buffer.from(leaf.subarray(isShort ? 1 : 2 + ((1 << (token - 0xd9)) - 1)))
}
