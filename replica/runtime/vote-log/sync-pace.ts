/**
 * A disk that takes less than this for an fdatasync is waited for: handing a write and an fdatasync to the thread pool
 * wakes four threads, which costs more CPU than the wait costs time. A slower one must not hold up the event loop.
 */
export const INLINE_SYNC_MS_MAX = 5
/** Of the newest time in the smoothed one. */
const NEWEST_SHARE = 1 / 8

/** How long the log's disk takes for an fdatasync, and so whether the event loop waits for it. */
export class SyncPace {
  readonly #inlineMsMax: number
  /** Nothing is known of it at first. */
  #smoothedMs = Number.POSITIVE_INFINITY

  /** @param inlineMsMax 0: never waited for */
  constructor(inlineMsMax: number) {
    this.#inlineMsMax = inlineMsMax
  }

  get isInline(): boolean {
    return this.#smoothedMs < this.#inlineMsMax
  }

  took(ms: number): void {
    const before = this.#smoothedMs
    this.#smoothedMs = Number.isFinite(before) ? before + (ms - before) * NEWEST_SHARE : ms
  }
}
