type Waiter = { readonly at: number; readonly resolve: () => void }

/** How many iterations were answered, for those who act at a certain point of a run. */
export class Progress {
  #completed = 0
  #waiting: Waiter[] = []

  get completed(): number {
    return this.#completed
  }

  advance(): void {
    this.#completed += 1
    if (this.#waiting.length === 0) return
    const due = this.#waiting.filter(({ at }) => at <= this.#completed)
    this.#waiting = this.#waiting.filter(({ at }) => at > this.#completed)
    for (const { resolve } of due) resolve()
  }

  /** Resolves when so many are completed, if that ever happens. Rejects with the signal's reason. */
  async reached(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#completed >= count) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#waiting.push({ at: count, resolve })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }
}
