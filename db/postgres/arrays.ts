/**
 * Array parameters in Postgres' binary format (array_recv in arrayfuncs.c): pg sends a Buffer as it is, and neither
 * side spends time on escaping and parsing text.
 *
 *   dimensions i32 | has nulls i32 | element type u32 | length i32 | lower bound i32 | (size i32, -1 null | bytes)*
 */
const OID = { int8: 20, int4: 23, text: 25 } as const
const HEAD_BYTES = 20

function begin(oid: number, count: number, payloadBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + 4 * count + payloadBytes)
  bytes.writeInt32BE(1, 0)
  bytes.writeInt32BE(1, 4)
  bytes.writeUInt32BE(oid, 8)
  bytes.writeInt32BE(count, 12)
  bytes.writeInt32BE(1, 16)
  return bytes
}

export function textArray(values: readonly (string | null)[]): Buffer {
  const texts = values.map((value) => (value === null ? null : Buffer.from(value, 'utf8')))
  const payload = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0)
  const bytes = begin(OID.text, values.length, payload)
  let at = HEAD_BYTES
  for (const text of texts) {
    at = bytes.writeInt32BE(text?.length ?? -1, at)
    if (text === null) continue
    bytes.set(text, at)
    at += text.length
  }
  return bytes
}

/** Numbers are integers below 2^53. */
export function int8Array(values: readonly (bigint | number | null)[]): Buffer {
  const bytes = begin(OID.int8, values.length, 8 * values.length)
  let at = HEAD_BYTES
  for (const value of values) {
    if (value === null) {
      at = bytes.writeInt32BE(-1, at)
      continue
    }
    at = bytes.writeInt32BE(8, at)
    if (typeof value === 'bigint') {
      at = bytes.writeBigInt64BE(value, at)
    } else {
      at = bytes.writeInt32BE(Math.floor(value / 2 ** 32), at)
      at = bytes.writeUInt32BE(value >>> 0, at)
    }
  }
  return bytes.subarray(0, at)
}

export function int4Array(values: readonly number[]): Buffer {
  const bytes = begin(OID.int4, values.length, 4 * values.length)
  let at = HEAD_BYTES
  for (const value of values) {
    at = bytes.writeInt32BE(4, at)
    at = bytes.writeInt32BE(value, at)
  }
  return bytes
}
