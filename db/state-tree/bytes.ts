/**
 * Lays fields out in bytes, big-endian, one behind the other. Total, since a row that was changed by hand may hold
 * any number: one out of range is written as two's complement.
 */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(160)
  #length = 0

  u8(value: number): this {
    const at = this.#take(1)
    this.#bytes[at] = value
    return this
  }

  u32(value: number): this {
    const at = this.#take(4)
    this.#bytes.writeUInt32BE(value >>> 0, at)
    return this
  }

  /** An integer below 2^53. */
  u64(value: number): this {
    const at = this.#take(8)
    this.#bytes.writeUInt32BE(Math.floor(value / 2 ** 32) >>> 0, at)
    this.#bytes.writeUInt32BE(value >>> 0, at + 4)
    return this
  }

  i64(value: bigint): this {
    const at = this.#take(8)
    this.#bytes.writeBigInt64BE(value, at)
    return this
  }

  raw(bytes: Uint8Array): this {
    const at = this.#take(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  hex(digits: string): this {
    const at = this.#take(digits.length / 2)
    this.#bytes.write(digits, at, 'hex')
    return this
  }

  /** UTF-8 behind its length. */
  text(text: string): this {
    const length = Buffer.byteLength(text, 'utf8')
    this.u32(length)
    const at = this.#take(length)
    this.#bytes.write(text, at, 'utf8')
    return this
  }

  /** 1 and the value, or 0 for null. */
  nullable<T>(value: T | null, write: (value: T) => void): this {
    this.u8(value === null ? 0 : 1)
    if (value !== null) write(value)
    return this
  }

  /** What was written; the writer must not be used any more. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #take(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(2 * this.#length)
      larger.set(this.#bytes.subarray(0, at))
      this.#bytes = larger
    }
    return at
  }
}

/** Thrown by a ByteReader, and caught where the decoding of foreign bytes begins. */
export class LayoutError extends Error {
  override name = 'LayoutError'
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Takes the fields of ByteWriter's layouts off. @throws LayoutError on any but those bytes. */
export class ByteReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  u64(): number {
    const at = this.#take(8)
    const value = this.#bytes.readUInt32BE(at) * 2 ** 32 + this.#bytes.readUInt32BE(at + 4)
    if (!Number.isSafeInteger(value)) throw new LayoutError('a number of 2^53 or more')
    return value
  }

  i64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8))
  }

  raw(count: number): Buffer {
    const at = this.#take(count)
    return this.#bytes.subarray(at, at + count)
  }

  hex(bytes: number): string {
    return this.raw(bytes).toString('hex')
  }

  text(): string {
    const bytes = this.raw(this.u32())
    try {
      return UTF8.decode(bytes)
    } catch {
      throw new LayoutError('text that is not UTF-8')
    }
  }

  nullable<T>(read: () => T): T | null {
    const flag = this.u8()
    if (flag > 1) throw new LayoutError('a flag that is neither 0 nor 1')
    return flag === 0 ? null : read()
  }

  #take(count: number): number {
    const at = this.#at
    if (count > this.remaining) throw new LayoutError('bytes end early')
    this.#at += count
    return at
  }
}

/** What `decode` makes of all of `bytes`; undefined when it meets another layout, or bytes are left. */
export function decodedWhole<T>(bytes: Uint8Array, decode: (reader: ByteReader) => T): T | undefined {
  const reader = new ByteReader(bytes)
  try {
    const value = decode(reader)
    return reader.remaining === 0 ? value : undefined
  } catch (error) {
    if (error instanceof LayoutError) return undefined
    throw error
  }
}
