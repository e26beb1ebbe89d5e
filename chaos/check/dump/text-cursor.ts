import { closeSync, openSync, readSync } from 'node:fs'

const CHUNK_BYTES = 2 ** 20
const LINE_FEED = 0x0a

/** Reads a file of lines from its start, comparing what comes next rather than decoding it. */
export class TextCursor {
  readonly #file: number
  #window: Buffer = Buffer.alloc(0)
  #at = 0
  #isAtEnd = false

  /** @throws what the file system throws */
  constructor(path: string) {
    this.#file = openSync(path, 'r')
  }

  close(): void {
    closeSync(this.#file)
  }

  /** Passes `expected` when it comes next. */
  take(expected: Uint8Array): boolean {
    this.#fill(expected.length)
    const end = this.#at + expected.length
    if (end > this.#window.length) return false
    if (this.#window.compare(expected, 0, expected.length, this.#at, end) !== 0) return false
    this.#at = end
    return true
  }

  /** The next line without its line feed, not passed yet; undefined at the end. A last line needs no line feed. */
  peek(): string | undefined {
    const end = this.#lineEnd()
    return end === undefined ? undefined : this.#window.toString('utf8', this.#at, end)
  }

  /** Passes the line that `peek` shows. */
  skip(): void {
    const end = this.#lineEnd()
    if (end !== undefined) this.#at = Math.min(end + 1, this.#window.length)
  }

  #lineEnd(): number | undefined {
    for (let from = this.#at; ; ) {
      const found = this.#window.indexOf(LINE_FEED, from)
      if (found >= 0) return found
      const had = this.#window.length - this.#at
      if (!this.#fill(had + 1)) return had > 0 ? this.#window.length : undefined
      from = this.#at + had
    }
  }

  /** Whether so many bytes are there behind what was passed. */
  #fill(length: number): boolean {
    while (this.#window.length - this.#at < length && !this.#isAtEnd) {
      const chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, length))
      const bytes = readSync(this.#file, chunk)
      this.#isAtEnd = bytes === 0
      this.#window = Buffer.concat([this.#window.subarray(this.#at), chunk.subarray(0, bytes)])
      this.#at = 0
    }
    return this.#window.length - this.#at >= length
  }
}
