import type { BankState, Call, SmallBank } from './small-bank.ts'

export type TimedCall = Call & {
  readonly call: number
  readonly invokedUs: number
  /** Infinity: nobody was told, so it may have happened at any time, or never. */
  readonly endedUs: number
}

export type SearchResult =
  | { readonly kind: 'linearizable'; readonly steps: number }
  /** `reached`: the most calls that an order could be found for; `stuck`: those that could not come next then. */
  | {
      readonly kind: 'contradiction'
      readonly steps: number
      readonly reached: number
      readonly stuck: readonly number[]
    }
  | { readonly kind: 'gave-up'; readonly steps: number }

/** A call that was chosen, and from where the search goes on when that leads nowhere. */
type Chosen = { readonly index: number; readonly before: BankState }

/**
 * Whether there is an order of the calls in which each gets what it got, and each that ended before another began comes
 * before it (Wing and Gong 1993; what was seen before is not tried again, Lowe 2017). It knows nothing of logs.
 */
export function searchOrder(
  bank: SmallBank,
  calls: readonly TimedCall[],
  { stepsMax }: { readonly stepsMax: number },
): SearchResult {
  const sorted = [...calls].sort((a, b) => a.invokedUs - b.invokedUs)
  const search = new Search(bank, sorted)
  return search.run(stepsMax)
}

class Search {
  readonly #bank: SmallBank
  readonly #calls: readonly TimedCall[]
  readonly #done: boolean[]
  readonly #seen = new Set<string>()
  readonly #path: Chosen[] = []
  readonly #needed: number
  #state: BankState
  #answered = 0
  #best = { reached: -1, stuck: [] as readonly number[] }

  constructor(bank: SmallBank, calls: readonly TimedCall[]) {
    this.#bank = bank
    this.#calls = calls
    this.#done = calls.map(() => false)
    this.#needed = calls.filter(isAnswered).length
    this.#state = bank.start
  }

  run(stepsMax: number): SearchResult {
    let steps = 0
    let from = 0
    while (this.#answered < this.#needed) {
      if (++steps > stepsMax) return { kind: 'gave-up', steps }
      const next = this.#nextFrom(from)
      if (next !== undefined) from = 0
      else {
        this.#noteStuck()
        const last = this.#path.pop()
        if (last === undefined) return { kind: 'contradiction', steps, ...this.#best }
        this.#undo(last)
        from = last.index + 1
      }
    }
    return { kind: 'linearizable', steps }
  }

  /** Takes the first call from `from` on that may come next; undefined: none. */
  #nextFrom(from: number): number | undefined {
    const horizon = this.#horizon()
    for (let index = from; index < this.#calls.length; index++) {
      const call = this.#calls[index]
      if (call === undefined || call.invokedUs > horizon) return undefined
      if (this.#done[index]) continue
      const after = this.#bank.apply(this.#state, call)
      if (after !== undefined && this.#take(index, after)) return index
    }
    return undefined
  }

  /** No call may come next that began after another one, which is not placed yet, had ended. */
  #horizon(): number {
    let horizon = Number.POSITIVE_INFINITY
    for (const [index, call] of this.#calls.entries()) {
      if (call.invokedUs > horizon) break
      if (!this.#done[index]) horizon = Math.min(horizon, call.endedUs)
    }
    return horizon
  }

  #take(index: number, after: BankState): boolean {
    const call = this.#calls[index]
    if (call === undefined) return false
    this.#done[index] = true
    const key = this.#keyOf(after)
    if (this.#seen.has(key)) {
      this.#done[index] = false
      return false
    }
    this.#seen.add(key)
    this.#path.push({ index, before: this.#state })
    this.#state = after
    if (isAnswered(call)) this.#answered += 1
    return true
  }

  #undo({ index, before }: Chosen): void {
    const call = this.#calls[index]
    this.#done[index] = false
    this.#state = before
    if (call !== undefined && isAnswered(call)) this.#answered -= 1
  }

  #noteStuck(): void {
    if (this.#path.length <= this.#best.reached) return
    const horizon = this.#horizon()
    const stuck = this.#calls.filter(
      (call, index) => !this.#done[index] && isAnswered(call) && call.invokedUs <= horizon,
    )
    this.#best = { reached: this.#path.length, stuck: stuck.map(({ call }) => call) }
  }

  /** The calls that are placed, and what they left. */
  #keyOf(state: BankState): string {
    let first = 0
    while (this.#done[first]) first += 1
    const rest = this.#done.flatMap((done, index) => (done && index > first ? [index] : []))
    const balances = [...state].map(([id, { balance }]) => `${id}=${balance}`).sort()
    return `${first}|${rest.join(',')}|${balances.join(' ')}`
  }
}

const isAnswered = ({ endedUs }: TimedCall): boolean => Number.isFinite(endedUs)
