/** When to send again: smoothed latency plus four deviations, as TCP does it (RFC 6298), in milliseconds. */
export type RetryLimits = {
  readonly retryMsInitial: number
  readonly retryMsMin: number
  readonly retryMsMax: number
}

export class Latency {
  readonly #limits: RetryLimits
  #smoothedMs = 0
  #deviationMs = 0
  #samples = 0

  constructor(limits: RetryLimits) {
    this.#limits = limits
  }

  /** Of something sent once only: an answer to one of several sends says nothing (Karn's rule). */
  sample(ms: number): void {
    if (this.#samples++ === 0) {
      this.#smoothedMs = ms
      this.#deviationMs = ms / 2
      return
    }
    this.#deviationMs += (Math.abs(ms - this.#smoothedMs) - this.#deviationMs) / 4
    this.#smoothedMs += (ms - this.#smoothedMs) / 8
  }

  /** After `sends` sends, doubling; `random` in [0, 1) spreads clients that started together. */
  retryMs(sends: number, random: number): number {
    const { retryMsInitial, retryMsMin, retryMsMax } = this.#limits
    const base = this.#samples === 0 ? retryMsInitial : this.#smoothedMs + 4 * this.#deviationMs
    const backedOff = Math.max(base, retryMsMin) * 2 ** Math.min(sends - 1, 16)
    return Math.min(backedOff, retryMsMax) * (0.75 + 0.5 * random)
  }
}
