import type { RequestNumber, Seq } from '../../protocol/types.ts'
import type { Outbox } from './outbox.ts'

/** A (client, lane), as ClientTable numbers them. */
export type LaneKey = number

export type NamedRequest = { readonly key: LaneKey; readonly number: RequestNumber }
/** `sinceMs`: when this replica met it, or the view in which it is not ordered began. */
export type UnorderedRequest = NamedRequest & { readonly sinceMs: number }
type WaitingRequest = { readonly number: RequestNumber; readonly seq: Seq | null }

/**
 * [NC8] Authentic requests that are not known to be committed, the oldest first: what a primary is judged by. Bounded by
 * the lanes, one of each.
 */
export class Waiting {
  /** `seq`: where this view's primary ordered it; null while it did not. */
  readonly #requests = new Map<LaneKey, WaitingRequest>()
  /** Since when those without a seq wait, the oldest first. */
  readonly #unordered = new Map<LaneKey, number>()
  readonly #clock: Pick<Outbox, 'nowMs'>

  constructor(clock: Pick<Outbox, 'nowMs'>) {
    this.#clock = clock
  }

  add(key: LaneKey, number: RequestNumber): void {
    const known = this.#requests.get(key)
    if (known !== undefined && known.number >= number) return
    // A lane's next request has waited for nothing yet.
    this.#requests.delete(key)
    this.#requests.set(key, { number, seq: null })
    this.#unordered.delete(key)
    this.#unordered.set(key, this.#clock.nowMs)
  }

  ordered(key: LaneKey, number: RequestNumber, seq: Seq): void {
    this.add(key, number)
    const known = this.#requests.get(key)
    if (known?.number !== number) return
    this.#requests.set(key, { number, seq })
    this.#unordered.delete(key)
  }

  /** Its batch lost its place to another. */
  displaced(key: LaneKey, number: RequestNumber): void {
    if (this.#requests.get(key)?.number !== number) return
    this.#requests.set(key, { number, seq: null })
    this.#unordered.set(key, this.#clock.nowMs)
  }

  /** Another view: where the last primary had put them counts no more. */
  unorder(): void {
    this.#unordered.clear()
    for (const [key, { number }] of this.#requests) {
      this.#requests.set(key, { number, seq: null })
      this.#unordered.set(key, this.#clock.nowMs)
    }
  }

  /** True when the request left by this. */
  executed(key: LaneKey, number: RequestNumber): boolean {
    const known = this.#requests.get(key)
    if (known === undefined || known.number > number) return false
    this.#unordered.delete(key)
    return this.#requests.delete(key)
  }

  /** The oldest that waits; those that are committed, with all below them, leave. */
  oldest(committedUpTo: Seq): NamedRequest | null {
    for (const [key, { number, seq }] of this.#requests) {
      if (seq === null || seq > committedUpTo) return { key, number }
      this.#requests.delete(key)
    }
    return null
  }

  /** [NC10] The oldest that this view's primary did not order. */
  oldestUnordered(): UnorderedRequest | null {
    for (const [key, sinceMs] of this.#unordered) {
      const known = this.#requests.get(key)
      if (known !== undefined) return { key, number: known.number, sinceMs }
    }
    return null
  }
}
