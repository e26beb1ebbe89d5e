/** Smoothed round-trip time, RFC 9002 section 5; all in milliseconds. */
export class Rtt {
  smoothedMs: number
  private variationMs: number
  private latestMs: number
  private minMs = Number.POSITIVE_INFINITY
  measured = false

  constructor(initialMs: number) {
    this.smoothedMs = initialMs
    this.variationMs = initialMs / 2
    this.latestMs = initialMs
  }

  /** @param ackDelayMs what the peer says it waited; believed only down to the smallest round trip seen. */
  sample(roundTripMs: number, ackDelayMs: number): void {
    this.latestMs = roundTripMs
    if (roundTripMs < this.minMs) this.minMs = roundTripMs
    const adjusted = roundTripMs - ackDelayMs >= this.minMs ? roundTripMs - ackDelayMs : roundTripMs
    if (!this.measured) {
      this.measured = true
      this.smoothedMs = adjusted
      this.variationMs = adjusted / 2
      return
    }
    this.variationMs = 0.75 * this.variationMs + 0.25 * Math.abs(this.smoothedMs - adjusted)
    this.smoothedMs = 0.875 * this.smoothedMs + 0.125 * adjusted
  }

  /** Probe time-out without back-off. */
  probeMs(ackDelayMaxMs: number): number {
    return this.smoothedMs + Math.max(4 * this.variationMs, 1) + ackDelayMaxMs
  }

  /** Older than this when a later packet is acknowledged: lost. */
  get lossDelayMs(): number {
    return Math.max(1.125 * Math.max(this.smoothedMs, this.latestMs), 1)
  }
}
