const PLAIN_INTERVAL_MS = 5_000
/** Back to the start of the line, and clears it. */
const REWRITE = '\r\u001b[2K'

type Terminal = { write(text: string): unknown; readonly isTTY?: boolean }

/** One line that is written over again on a terminal; elsewhere a line now and then. */
export class ProgressLine {
  readonly #out: Terminal
  readonly #nowMs: () => number
  #shownMs = Number.NEGATIVE_INFINITY

  constructor(out: Terminal, nowMs: () => number = () => performance.now()) {
    this.#out = out
    this.#nowMs = nowMs
  }

  /** What changes all the time. */
  update(text: string): void {
    if (this.#out.isTTY === true) {
      this.#out.write(`${REWRITE}${text}`)
      return
    }
    if (this.#nowMs() - this.#shownMs < PLAIN_INTERVAL_MS) return
    this.#shownMs = this.#nowMs()
    this.#out.write(`${text}\n`)
  }

  /** What stays. */
  say(text: string): void {
    this.#out.write(`${this.#out.isTTY === true ? REWRITE : ''}${text}\n`)
  }
}
