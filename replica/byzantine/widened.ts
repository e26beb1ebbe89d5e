/** How many bytes of payload stand behind a token of a fixed size. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
}

/**
 * The same msgpack value with every length and small integer in a longer form than it needs. `bytes` is one value of the
 * subset that protocol/msgpack.ts speaks.
 */
export function widened(bytes: Uint8Array): Buffer {
  const out: number[] = []
  let at = 0
  const copy = (count: number) => {
    for (const byte of bytes.subarray(at, at + count)) out.push(byte)
    at += count
  }
  /** A length of `size` bytes stands at `at`. */
  const length = (size: number): number => {
    let value = 0
    for (const byte of bytes.subarray(at, at + size)) value = value * 256 + byte
    at += size
    return value
  }
  const head = (token: number, value: number) =>
    out.push(token, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255)
  while (at < bytes.length) {
    const token = bytes[at] ?? 0
    at += 1
    if (token < 0x80) head(0xce, token)
    else if (token < 0xa0) head(0xdd, token & 15)
    else if (token < 0xc0) {
      head(0xdb, token & 31)
      copy(token & 31)
    } else if (token >= 0xc4 && token <= 0xc6) {
      const count = length(1 << (token - 0xc4))
      head(0xc6, count)
      copy(count)
    } else if (token >= 0xd9 && token <= 0xdb) {
      const count = length(1 << (token - 0xd9))
      head(0xdb, count)
      copy(count)
    } else if (token === 0xdc || token === 0xdd) head(0xdd, length(token === 0xdc ? 2 : 4))
    else {
      out.push(token)
      copy(SCALAR_BYTES[token] ?? 0)
    }
  }
  return Buffer.from(out)
}
