/**
 * The bytes that may be in flight (RFC 9002 section 7: slow start, then additive increase; a loss event takes 30%),
 * and the pace at which they leave, so that a full window does not arrive as one burst at a small socket buffer.
 */
export class Congestion {
  windowBytes: number
  private thresholdBytes = Number.POSITIVE_INFINITY
  /** Losses of packets below this number belong to the last loss event. */
  private recoveryUntil = 0
  private paceBytes: number
  private pacedAtMs: number
  private readonly bounds: {
    readonly minBytes: number
    readonly maxBytes: number
    readonly burstBytes: number
    readonly payloadBytes: number
  }

  constructor(
    bounds: {
      initialBytes: number
      minBytes: number
      maxBytes: number
      burstBytes: number
      payloadBytes: number
    },
    nowMs: number,
  ) {
    this.bounds = { ...bounds, minBytes: Math.max(bounds.minBytes, 2 * bounds.payloadBytes) }
    this.windowBytes = Math.max(bounds.initialBytes, this.bounds.minBytes)
    this.paceBytes = bounds.burstBytes
    this.pacedAtMs = nowMs
  }

  acked(bytes: number, inFlightBytes: number): void {
    // A window that was not used says nothing about the path.
    if (inFlightBytes * 2 < this.windowBytes) return
    const grown =
      this.windowBytes < this.thresholdBytes
        ? this.windowBytes + bytes
        : this.windowBytes + (this.bounds.payloadBytes * bytes) / this.windowBytes
    this.windowBytes = Math.min(grown, Math.max(this.bounds.maxBytes, this.bounds.minBytes))
  }

  lost(packetNumber: number, nextPacket: number): void {
    if (packetNumber < this.recoveryUntil) return
    this.recoveryUntil = nextPacket
    this.windowBytes = Math.max(this.windowBytes * 0.7, this.bounds.minBytes)
    this.thresholdBytes = this.windowBytes
  }

  sent(bytes: number): void {
    this.paceBytes -= bytes
  }

  /** Milliseconds until the pace allows a datagram; 0 is now. */
  paceDelayMs(nowMs: number, smoothedRttMs: number): number {
    const perMs = (1.25 * this.windowBytes) / Math.max(smoothedRttMs, 0.05)
    if (nowMs > this.pacedAtMs) {
      this.paceBytes = Math.min(this.bounds.burstBytes, this.paceBytes + (nowMs - this.pacedAtMs) * perMs)
      this.pacedAtMs = nowMs
    }
    return this.paceBytes > 0 ? 0 : Math.max(-this.paceBytes / perMs, 0.01)
  }
}
