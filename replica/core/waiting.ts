import type { RequestNumber, Seq } from '../../protocol/types.ts'

/** A (client, lane), as ClientTable numbers them. */
export type LaneKey = number

export type NamedRequest = { readonly key: LaneKey; readonly number: RequestNumber }
type WaitingRequest = { readonly number: RequestNumber; readonly seq: Seq | null }

/**
 * [NC8] Authentic requests that are not known to be committed, the oldest first: what a primary is judged by. Bounded by
 * the lanes, one of each.
 */
export class Waiting {
  /** `seq`: where this view's primary ordered it; null while it did not. */
  readonly #requests = new Map<LaneKey, WaitingRequest>()
  /** Those without a seq, the oldest first. */
  readonly #unordered = new Set<LaneKey>()

  add(key: LaneKey, number: RequestNumber): void {
    const known = this.#requests.get(key)
    if (known !== undefined && known.number >= number) return
    // A lane's next request has waited for nothing yet.
    this.#requests.delete(key)
    this.#requests.set(key, { number, seq: null })
    this.#unordered.delete(key)
    this.#unordered.add(key)
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
    this.#unordered.add(key)
  }

  /** Another view: where the last primary had put them counts no more. */
  unorder(): void {
    this.#unordered.clear()
    for (const [key, { number }] of this.#requests) {
      this.#requests.set(key, { number, seq: null })
      this.#unordered.add(key)
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
  oldestUnordered(): NamedRequest | null {
    for (const key of this.#unordered) {
      const known = this.#requests.get(key)
      if (known !== undefined) return { key, number: known.number }
    }
    return null
  }
}
