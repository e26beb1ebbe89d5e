import { closeSync, openSync, writeSync } from 'node:fs'

/** What is written at once: a line each would be a system call each. */
const BUFFER_CHARACTERS_MAX = 65_536

/** A file of lines, written as they come: what is in it outlives this process however that ends, but for the last few. */
export class JsonLines {
  readonly #file: number
  #pending: string[] = []
  #characters = 0

  /** @throws what the file system throws */
  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  write(line: string): void {
    this.#pending.push(line)
    this.#characters += line.length
    if (this.#characters >= BUFFER_CHARACTERS_MAX) this.flush()
  }

  flush(): void {
    if (this.#pending.length === 0) return
    writeSync(this.#file, `${this.#pending.join('\n')}\n`)
    this.#pending = []
    this.#characters = 0
  }

  close(): void {
    this.flush()
    closeSync(this.#file)
  }
}
