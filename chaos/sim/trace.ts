/** Lines kept of a traced run; the end of it is what tells. */
const LINES_MAX = 200_000

/** What happened, as a running hash that two equal runs share; as text only when somebody will read it. */
export class Trace {
  readonly verbose: boolean
  readonly #lines: string[] = []
  #high = 0x811c9dc5 | 0
  #low = 0x9e3779b1 | 0
  #events = 0

  constructor(verbose: boolean) {
    this.verbose = verbose
  }

  get events(): number {
    return this.#events
  }

  get lines(): readonly string[] {
    return this.#lines
  }

  /** 16 hex digits. */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, '0')
    return hex(this.#high) + hex(this.#low)
  }

  mix(a: number, b: number, c = 0): void {
    this.#events += 1
    this.#high = Math.imul(this.#high ^ a, 0x01000193) ^ (this.#low >>> 15)
    this.#low = Math.imul(this.#low ^ b, 0x85ebca6b) + Math.imul(c | 0, 0xc2b2ae35) + (this.#high >>> 13)
  }

  /** Only under `verbose`: the caller asks before it makes the text. */
  line(nowUs: number, text: string): void {
    if (this.#lines.length >= LINES_MAX) this.#lines.splice(0, LINES_MAX / 2)
    this.#lines.push(`${(nowUs / 1000).toFixed(3).padStart(10)} ${text}`)
  }
}
