/** How far the log has come, in ordinals. */
export type Progress = { readonly written: number; readonly durable: number }

type Waiter = {
  readonly until: keyof Progress
  readonly ordinal: number
  readonly done: PromiseWithResolvers<void>
}

/** Who waits for a record to be written or durable. */
export class Waiters {
  #waiters: Waiter[] = []

  /** Settled by the next `settle` that reaches `ordinal`. */
  add(until: keyof Progress, ordinal: number): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#waiters.push({ until, ordinal, done })
    return done.promise
  }

  /** `failure`: the log comes no further. */
  settle(progress: Progress, failure: Error | undefined): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) {
      if (waiter.ordinal <= progress[waiter.until]) waiter.done.resolve()
      else if (failure !== undefined) waiter.done.reject(failure)
      else this.#waiters.push(waiter)
    }
  }
}
