import type { RowMismatch, Store } from '../../db/store.ts'
import { type Clock, type StopTimer, systemClock } from '../../protocol/clock.ts'
import type { Executor } from './executor.ts'

/**
 * [CP6] The whole database is read again within this many looks: a row that was changed behind the replica's back is
 * found within as many checkpoints, or as many idle intervals, as this.
 */
export const SCRUB_LOOKS = 64

/** Compares a share of the rows with what this replica left, per checkpoint and, when idle, per interval. */
export class Scrubber {
  readonly #store: Store
  readonly #executor: Executor
  readonly #onMismatched: (rows: readonly RowMismatch[]) => void
  readonly #guard: (work: Promise<void>) => void
  readonly #clock: Clock
  readonly #intervalMs: number
  #stopTimer: StopTimer
  /** One look at a time, and one in each interval. */
  #looking = false
  #looked = false

  constructor(args: {
    readonly store: Store
    readonly executor: Executor
    readonly intervalMs: number
    readonly onMismatched: (rows: readonly RowMismatch[]) => void
    readonly guard: (work: Promise<void>) => void
    readonly clock?: Clock
  }) {
    this.#store = args.store
    this.#executor = args.executor
    this.#onMismatched = args.onMismatched
    this.#guard = args.guard
    this.#clock = args.clock ?? systemClock
    this.#intervalMs = args.intervalMs
    this.#stopTimer = this.#arm()
  }

  /** A checkpoint was taken. */
  look(): void {
    // What is asked of a database that is away is dropped: nothing would end that look.
    if (this.#looking || !this.#executor.connected) return
    this.#looking = true
    this.#looked = true
    this.#executor.betweenRuns(async () => {
      try {
        const { mismatches } = await this.#store.scrub({ share: 1 / SCRUB_LOOKS })
        this.#guard(this.#report(mismatches))
      } catch (error) {
        this.#looking = false
        throw error
      }
    })
  }

  /** What waited for its turn is gone with the connection. */
  onDisconnected(): void {
    this.#looking = false
  }

  stop(): void {
    this.#stopTimer()
  }

  #arm(): StopTimer {
    return this.#clock.setTimer(() => this.#onInterval(), this.#intervalMs)
  }

  #onInterval(): void {
    this.#stopTimer = this.#arm()
    if (!this.#looked) this.look()
    this.#looked = false
  }

  async #report(mismatches: Promise<readonly RowMismatch[]>): Promise<void> {
    const rows = await this.#executor.beside(() => mismatches)
    this.#looking = false
    if (rows !== undefined && rows.length > 0) this.#onMismatched(rows)
  }
}
