import type { RequestNumber, Seq } from '../../protocol/types.ts'

/** A (client, lane), as ClientTable numbers them. */
export type LaneKey = number

type WaitingRequest = { readonly number: RequestNumber; readonly seq: Seq | null }

/**
 * [NC8] Authentic requests that are not known to be committed, the oldest first: what a primary is judged by. Bounded by
 * the lanes, one of each.
 */
export class Waiting {
  /** `seq`: where this view's primary ordered it; null while it did not. */
  readonly #requests = new Map<LaneKey, WaitingRequest>()

  add(key: LaneKey, number: RequestNumber): void {
    const known = this.#requests.get(key)
    if (known !== undefined && known.number >= number) return
    // A lane's next request has waited for nothing yet.
    this.#requests.delete(key)
    this.#requests.set(key, { number, seq: null })
  }

  ordered(key: LaneKey, number: RequestNumber, seq: Seq): void {
    this.add(key, number)
    const known = this.#requests.get(key)
    if (known?.number === number) this.#requests.set(key, { number, seq })
  }

  /** Its batch lost its place to another. */
  displaced(key: LaneKey, number: RequestNumber): void {
    if (this.#requests.get(key)?.number === number) this.#requests.set(key, { number, seq: null })
  }

  /** Another view: where the last primary had put them counts no more. */
  unorder(): void {
    for (const [key, { number }] of this.#requests) this.#requests.set(key, { number, seq: null })
  }

  /** True when the request left by this. */
  executed(key: LaneKey, number: RequestNumber): boolean {
    const known = this.#requests.get(key)
    return known !== undefined && known.number <= number && this.#requests.delete(key)
  }

  /** The oldest that waits; those that are committed, with all below them, leave. */
  oldest(committedUpTo: Seq): { readonly key: LaneKey; readonly number: RequestNumber } | null {
    for (const [key, { number, seq }] of this.#requests) {
      if (seq === null || seq > committedUpTo) return { key, number }
      this.#requests.delete(key)
    }
    return null
  }
}
