import type { Digest } from './types.ts'
import { digestFromBytes } from './types.ts'

/** Thrown inside a decoder and caught at its border: remote bytes never throw past `decodeMessage`. */
export class MalformedError extends Error {
  override name = 'MalformedError'
}

const UINT48_MAX = 2 ** 48 - 1

/** A float beyond 2^53 stands for many integers, and -0 for 0: whoever encodes them again says something else. */
const isExact = (value: unknown): value is number => Number.isSafeInteger(value) && !Object.is(value, -0)

/** Takes the fields of one array in order, each checked for its type and bounds. */
export class Reader {
  readonly #fields: readonly unknown[]
  #at = 0

  private constructor(fields: readonly unknown[]) {
    this.#fields = fields
  }

  /** @throws MalformedError when `value` is not an array of exactly `length` fields, where given. */
  static of(value: unknown, length?: number): Reader {
    if (!Array.isArray(value)) throw new MalformedError('not an array')
    if (length !== undefined && value.length !== length) throw new MalformedError('wrong number of fields')
    return new Reader(value)
  }

  get remaining(): number {
    return this.#fields.length - this.#at
  }

  any(): unknown {
    return this.#fields[this.#at++]
  }

  /** A non-negative integer; msgpack's 64-bit form arrives as bigint. */
  integer(max: number = Number.MAX_SAFE_INTEGER): number {
    const raw = this.any()
    const value = typeof raw === 'bigint' && raw <= Number.MAX_SAFE_INTEGER ? Number(raw) : raw
    if (!isExact(value) || value < 0 || value > max) throw new MalformedError('not an integer in range')
    return value
  }

  uint48(): number {
    return this.integer(UINT48_MAX)
  }

  /** Within 64 bits, signed or not. */
  bigint(): bigint {
    const raw = this.any()
    if (typeof raw === 'bigint') return raw
    if (isExact(raw)) return BigInt(raw)
    throw new MalformedError('not an integer')
  }

  boolean(): boolean {
    const value = this.any()
    if (typeof value !== 'boolean') throw new MalformedError('not a boolean')
    return value
  }

  string(lengthMax: number): string {
    const value = this.any()
    if (typeof value !== 'string' || value.length > lengthMax)
      throw new MalformedError('not a string in bounds')
    return value
  }

  bytes(lengthMax: number): Uint8Array {
    const value = this.any()
    if (!(value instanceof Uint8Array) || value.length > lengthMax)
      throw new MalformedError('not bytes in bounds')
    return value
  }

  exactly(length: number): Uint8Array {
    const value = this.bytes(length)
    if (value.length !== length) throw new MalformedError(`not ${length} bytes`)
    return value
  }

  digest(): Digest {
    return digestFromBytes(this.exactly(32))
  }

  nullable<T>(read: (value: unknown) => T): T | null {
    const value = this.any()
    return value === null ? null : read(value)
  }

  list<T>(countMax: number, read: (value: unknown) => T): T[] {
    const value = this.any()
    if (!Array.isArray(value) || value.length > countMax) throw new MalformedError('not a list in bounds')
    return value.map(read)
  }
}
