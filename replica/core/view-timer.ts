import type { CoreConfig } from './config.ts'
import type { Outbox } from './outbox.ts'

/** T grows to this many times its configured length. */
const GROWTH_MAX = 16
/** T shrinks to no less than this many times the longest wait that was seen lately. */
const HEADROOM = 4

/** What is waited for: a request or a fill to be committed, or a NEW-VIEW. Another one restarts the timer in full. */
export type Awaited = {
  readonly what: 'request' | 'fill' | 'new-view'
  readonly a: number
  readonly b: number
}

/**
 * [NC8] [VC4] The one length T that a primary has to commit the oldest request, and a new primary to send its NEW-VIEW. It
 * doubles when a view ends without having committed any request. It comes down again at stable checkpoints, but not
 * below what requests lately took: on a slow network the configured length would depose every primary.
 */
export class ViewTimer {
  readonly #outbox: Outbox
  readonly #baseMs: number
  #lengthMs: number
  #awaited: Awaited | null = null
  #sinceMs = 0
  #armedForMs: number | null = null
  #isProductive = false
  #longestMs = 0

  constructor({ config, outbox }: { config: CoreConfig; outbox: Outbox }) {
    this.#outbox = outbox
    this.#baseMs = config.viewChangeTimeoutMs
    this.#lengthMs = config.viewChangeTimeoutMs
  }

  /** T, in milliseconds. */
  get lengthMs(): number {
    return this.#lengthMs
  }

  /** Once in each step: what this replica waits for now; null: nothing, and nobody is judged. */
  watch(awaited: Awaited | null): void {
    if (!isSame(this.#awaited, awaited)) {
      const { nowMs } = this.#outbox
      if (this.#awaited?.what === 'request')
        this.#longestMs = Math.max(this.#longestMs, nowMs - this.#sinceMs)
      this.#awaited = awaited
      this.#sinceMs = nowMs
    }
    if (awaited !== null) this.#arm()
  }

  /** A running timer that ends earlier is left alone: it finds that more time is due. */
  #arm(): void {
    const dueMs = this.#sinceMs + this.#lengthMs
    if (this.#armedForMs !== null && this.#armedForMs <= dueMs) return
    this.#armedForMs = dueMs
    const ms = Math.max(1, Math.ceil(dueMs - this.#outbox.nowMs))
    this.#outbox.effect({ type: 'set-timer', timer: 'view-change', ms })
  }

  /** The timer went off: whether what is awaited has had all of its time. */
  onTimeout(): boolean {
    this.#armedForMs = null
    return this.#awaited !== null && this.#outbox.nowMs - this.#sinceMs >= this.#lengthMs
  }

  /** What is awaited cannot be judged now: it gets T again. */
  restart(): void {
    this.#sinceMs = this.#outbox.nowMs
  }

  /** A batch with requests was committed in this view. */
  onProgress(): void {
    this.#isProductive = true
  }

  onViewEnd(): void {
    if (!this.#isProductive) this.#lengthMs = Math.min(2 * this.#lengthMs, GROWTH_MAX * this.#baseMs)
    this.#isProductive = false
    this.#awaited = null
  }

  onStable(): void {
    const enough = Math.max(this.#baseMs, HEADROOM * this.#longestMs)
    if (this.#isProductive && enough < this.#lengthMs) this.#lengthMs = enough
    this.#longestMs = 0
  }
}

const isSame = (one: Awaited | null, other: Awaited | null): boolean =>
  one === other ||
  (one !== null && other !== null && one.what === other.what && one.a === other.a && one.b === other.b)
