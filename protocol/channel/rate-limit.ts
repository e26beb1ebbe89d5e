/** A token bucket that the caller's clock refills; a clock that steps back refills nothing. */
export class TokenBucket {
  private tokens: number
  private refilledAtMs = Number.NEGATIVE_INFINITY
  private readonly perSecond: number
  private readonly burst: number

  constructor(options: { perSecond: number; burst: number }) {
    this.perSecond = options.perSecond
    this.burst = options.burst
    this.tokens = options.burst
  }

  take(cost: number, nowMs: number): boolean {
    if (nowMs > this.refilledAtMs) {
      this.tokens = Math.min(this.burst, this.tokens + ((nowMs - this.refilledAtMs) * this.perSecond) / 1000)
      this.refilledAtMs = nowMs
    }
    if (this.tokens < cost) return false
    this.tokens -= cost
    return true
  }
}

const SLOTS = 1024

/**
 * One bucket per source address in a table of fixed size: addresses that share a slot share its tokens, so a flood of
 * forged addresses costs no memory. The seed keeps an attacker from choosing addresses that share a victim's slot.
 */
export class AddressBuckets {
  private readonly tokens: Float64Array
  private readonly refilledAtMs = new Float64Array(SLOTS).fill(Number.NEGATIVE_INFINITY)
  private readonly perSecond: number
  private readonly burst: number
  private readonly seed: number

  constructor(options: { perSecond: number; burst: number; seed: number }) {
    this.perSecond = options.perSecond
    this.burst = options.burst
    this.seed = options.seed | 0
    this.tokens = new Float64Array(SLOTS).fill(options.burst)
  }

  take(address: string, nowMs: number): boolean {
    const slot = this.slotOf(address)
    const last = this.refilledAtMs[slot] ?? 0
    let tokens = this.tokens[slot] ?? 0
    if (nowMs > last) {
      tokens = Math.min(this.burst, tokens + ((nowMs - last) * this.perSecond) / 1000)
      this.refilledAtMs[slot] = nowMs
    }
    const allowed = tokens >= 1
    this.tokens[slot] = allowed ? tokens - 1 : tokens
    return allowed
  }

  private slotOf(address: string): number {
    let h = this.seed ^ 0x811c9dc5
    for (let i = 0; i < address.length; i++) h = Math.imul(h ^ address.charCodeAt(i), 0x01000193)
    h ^= h >>> 15
    h = Math.imul(h, 0x2c1b3c6d)
    return (h ^ (h >>> 13)) & (SLOTS - 1)
  }
}
