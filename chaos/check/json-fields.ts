/** What was read is not what it should be; the message says which field. */
export class FieldError extends Error {
  override name = 'FieldError'
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The fields of one JSON object, each checked for its type as it is taken. */
export class JsonFields {
  readonly #fields: Readonly<Record<string, unknown>>
  /** Where this object is in the one around it: put together only when something is wrong. */
  readonly #name: string
  readonly #around: JsonFields | null

  private constructor(
    fields: Readonly<Record<string, unknown>>,
    name: string,
    around: JsonFields | null = null,
  ) {
    this.#fields = fields
    this.#name = name
    this.#around = around
  }

  /** @throws FieldError when `value` is no object */
  static of(value: unknown, path = ''): JsonFields {
    if (!isRecord(value)) throw new FieldError(`${path === '' ? 'the line' : path} is no object`)
    return new JsonFields(value, path)
  }

  any(name: string): unknown {
    return this.#fields[name]
  }

  isNull(name: string): boolean {
    return this.#fields[name] === null
  }

  /** A whole number from 0 on. */
  whole(name: string): number {
    const value = this.#fields[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    return this.#wrong(name, 'a whole number')
  }

  number(name: string): number {
    const value = this.#fields[name]
    return typeof value === 'number' ? value : this.#wrong(name, 'a number')
  }

  text(name: string): string {
    const value = this.#fields[name]
    return typeof value === 'string' ? value : this.#wrong(name, 'text')
  }

  boolean(name: string): boolean {
    const value = this.#fields[name]
    return typeof value === 'boolean' ? value : this.#wrong(name, 'true or false')
  }

  /** Decimal digits in quotes: JSON numbers lose precision above 2^53. */
  bigint(name: string): bigint {
    const value = this.#fields[name]
    if (typeof value === 'string' && /^-?\d{1,40}$/.test(value)) return BigInt(value)
    return this.#wrong(name, 'a whole number in quotes')
  }

  hexBytes(name: string): Uint8Array {
    const value = this.#fields[name]
    if (typeof value === 'string' && /^([0-9a-f]{2})*$/.test(value)) return Buffer.from(value, 'hex')
    return this.#wrong(name, 'bytes in hex')
  }

  object(name: string): JsonFields {
    const value = this.#fields[name]
    return isRecord(value) ? new JsonFields(value, name, this) : this.#wrong(name, 'an object')
  }

  list<T>(name: string, read: (fields: JsonFields) => T): T[] {
    const value = this.#fields[name]
    if (!Array.isArray(value)) return this.#wrong(name, 'a list')
    return value.map((one: unknown, index) =>
      isRecord(one)
        ? read(new JsonFields(one, `${name}.${index}`, this))
        : this.#wrong(`${name}.${index}`, 'an object'),
    )
  }

  texts(name: string): string[] {
    const value = this.#fields[name]
    if (!Array.isArray(value)) return this.#wrong(name, 'a list')
    return value.map((one: unknown) => (typeof one === 'string' ? one : this.#wrong(name, 'a list of text')))
  }

  /** @throws FieldError */
  #wrong(name: string, wanted: string): never {
    throw new FieldError(`${this.#at(name)} is not ${wanted}`)
  }

  /** @throws FieldError: `name` is not one of what it can be */
  unknown(name: string): never {
    throw new FieldError(`${this.#at(name)}: ${JSON.stringify(this.#fields[name])} is not known here`)
  }

  #at(name: string): string {
    const path = this.#around === null ? this.#name : this.#around.#at(this.#name)
    return path === '' ? name : `${path}.${name}`
  }
}
