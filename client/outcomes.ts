import { formatRequestName, type RequestName } from '../protocol/operations.ts'
import type { RequestOutcome } from './effects.ts'

/** What became of requests that were in doubt; the oldest are forgotten, a lookup then asks the lane again. */
export class Outcomes {
  readonly #max: number
  readonly #known = new Map<string, RequestOutcome>()

  constructor(max: number) {
    this.#max = max
  }

  record(name: RequestName, outcome: RequestOutcome): void {
    const key = formatRequestName(name)
    this.#known.delete(key)
    this.#known.set(key, outcome)
    if (this.#known.size <= this.#max) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  get(name: RequestName): RequestOutcome | undefined {
    return this.#known.get(formatRequestName(name))
  }
}
