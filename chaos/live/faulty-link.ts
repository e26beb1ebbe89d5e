import type { Random } from '../sim/random.ts'
import type { Delays } from './delay-line.ts'
import { type CombinedRule, checkRule, combined, type LinkRule } from './link-rule.ts'

/** Of datagrams that wait on one link; what is beyond is lost, as in any full queue. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** A rate limit lets a queue of this length form. */
const RATE_QUEUE_MS_MAX = 1_000
/** Old datagrams that a replay may bring back. */
const REMEMBERED_MAX = 64
const FLIPPED_BITS_MAX = 8
const REPLAY_MS_MAX = 50

/**
 * What happened to datagrams of a link since it was made. 'throttled' ones waited for a rate limit, 'overflowed' ones found
 * the queue full and are lost.
 */
export const LINK_COUNTERS = [
  'passed',
  'cut',
  'lost',
  'delayed',
  'duplicated',
  'reordered',
  'corrupted',
  'replayed',
  'throttled',
  'overflowed',
] as const
export type LinkCounters = Record<(typeof LINK_COUNTERS)[number], number>

export const noCounts = (): LinkCounters => ({
  passed: 0,
  cut: 0,
  lost: 0,
  delayed: 0,
  duplicated: 0,
  reordered: 0,
  corrupted: 0,
  replayed: 0,
  throttled: 0,
  overflowed: 0,
})

export type Deliver = (bytes: Uint8Array) => void

/** One direction between two ends. Without a rule every datagram passes at once. */
export class FaultyLink {
  readonly counters: LinkCounters = noCounts()
  readonly #random: Random
  readonly #delays: Delays
  readonly #rules = new Set<LinkRule>()
  #rule: CombinedRule | null = null
  #waitingBytes = 0
  /** The rate limit is busy until then. */
  #freeAtMs = 0
  readonly #remembered: { readonly bytes: Uint8Array; readonly deliver: Deliver }[] = []

  constructor(random: Random, delays: Delays) {
    this.#random = random
    this.#delays = delays
  }

  /** In force until the returned function is called. @throws RangeError */
  add(rule: LinkRule): () => void {
    checkRule(rule)
    const own = { ...rule }
    this.#rules.add(own)
    this.#rule = combined(this.#rules)
    return () => {
      if (!this.#rules.delete(own)) return
      this.#rule = combined(this.#rules)
      if (this.#rule?.replay !== undefined && this.#rule.replay > 0) return
      this.#remembered.length = 0
    }
  }

  /** No rule is in force; what waits still comes. */
  heal(): void {
    this.#rules.clear()
    this.#rule = null
    this.#remembered.length = 0
  }

  pass(bytes: Uint8Array, deliver: Deliver): void {
    const rule = this.#rule
    if (rule === null) {
      this.#count('passed')
      return deliver(bytes)
    }
    const random = this.#random
    if (rule.cut) return this.#count('cut')
    if (random.chance(rule.loss)) return this.#count('lost')
    const isCorrupt = random.chance(rule.corrupt)
    if (isCorrupt) this.#count('corrupted')
    this.#carry(isCorrupt ? this.#damaged(bytes) : bytes, { rule, deliver })
    if (random.chance(rule.duplicate)) {
      this.#count('duplicated')
      this.#carry(bytes, { rule, deliver })
    }
    if (rule.replay > 0) this.#replay(bytes, { rule, deliver })
  }

  #carry(bytes: Uint8Array, { rule, deliver }: { rule: CombinedRule; deliver: Deliver }): void {
    const queuedMs = this.#queueFor(bytes.length, rule)
    if (queuedMs === undefined) return this.#count('overflowed')
    const jitterMs = rule.jitterMs > 0 ? this.#random.between(-rule.jitterMs, rule.jitterMs) : 0
    const delayMs = Math.max(0, rule.delayMs + jitterMs)
    const isHeldBack = this.#random.chance(rule.reorder)
    if (delayMs > 0) this.#count('delayed')
    if (queuedMs > 0) this.#count('throttled')
    if (isHeldBack) this.#count('reordered')
    this.#deliverAfter(queuedMs + delayMs + (isHeldBack ? rule.reorderMs : 0), { bytes, deliver })
  }

  /** How long the rate limit keeps it; undefined: for ever. */
  #queueFor(bytes: number, { bytesPerSecond }: CombinedRule): number | undefined {
    if (bytesPerSecond === Number.POSITIVE_INFINITY) return 0
    const nowMs = this.#delays.nowMs()
    const startMs = Math.max(nowMs, this.#freeAtMs)
    if (startMs - nowMs > RATE_QUEUE_MS_MAX) return undefined
    this.#freeAtMs = startMs + (bytes * 1_000) / bytesPerSecond
    return this.#freeAtMs - nowMs
  }

  #deliverAfter(ms: number, { bytes, deliver }: { bytes: Uint8Array; deliver: Deliver }): void {
    if (ms <= 0) {
      this.#count('passed')
      return deliver(bytes)
    }
    if (this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) return this.#count('overflowed')
    this.#waitingBytes += bytes.length
    this.#delays.after(ms, () => {
      this.#waitingBytes -= bytes.length
      this.#count('passed')
      deliver(bytes)
    })
  }

  #replay(bytes: Uint8Array, { rule, deliver }: { rule: CombinedRule; deliver: Deliver }): void {
    const remembered = this.#remembered
    if (remembered.length > 0 && this.#random.chance(rule.replay)) {
      this.#count('replayed')
      this.#deliverAfter(this.#random.between(1, REPLAY_MS_MAX), this.#random.pick(remembered))
    }
    if (remembered.length < REMEMBERED_MAX) remembered.push({ bytes, deliver })
    else remembered[this.#random.int(0, REMEMBERED_MAX - 1)] = { bytes, deliver }
  }

  #count(what: keyof LinkCounters): void {
    this.counters[what] += 1
  }

  #damaged(bytes: Uint8Array): Uint8Array {
    const damaged = Uint8Array.from(bytes)
    if (damaged.length === 0) return damaged
    const flips = this.#random.int(1, FLIPPED_BITS_MAX)
    for (let flip = 0; flip < flips; flip++) {
      const at = this.#random.int(0, damaged.length - 1)
      // A bit that was flipped before is not flipped back: the datagram would be whole again.
      damaged[at] = (bytes[at] ?? 0) ^ (1 << this.#random.int(0, 7))
    }
    return damaged
  }
}
