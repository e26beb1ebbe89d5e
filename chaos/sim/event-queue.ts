type Entry = { readonly atUs: number; readonly ordinal: number; readonly run: () => void }

/** What happens next: a binary heap by time, and by order of scheduling within one instant. */
export class EventQueue {
  readonly #heap: Entry[] = []
  #ordinal = 0
  /** Simulated microseconds. */
  nowUs = 0

  get size(): number {
    return this.#heap.length
  }

  /** When the next event is; infinite when there is none. */
  get nextUs(): number {
    return this.#heap[0]?.atUs ?? Number.POSITIVE_INFINITY
  }

  /** `atUs` is never before now. */
  at(atUs: number, run: () => void): void {
    this.#ordinal += 1
    const heap = this.#heap
    const entry = { atUs: Math.max(atUs, this.nowUs), ordinal: this.#ordinal, run }
    let place = heap.length
    heap.push(entry)
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = heap[above]
      if (parent === undefined || isBefore(parent, entry)) break
      heap[place] = parent
      place = above
    }
    heap[place] = entry
  }

  after(delayUs: number, run: () => void): void {
    this.at(this.nowUs + Math.max(0, Math.round(delayUs)), run)
  }

  /** Moves time to the next event and runs it; false when there is none. */
  runNext(): boolean {
    const next = this.#pop()
    if (next === undefined) return false
    this.nowUs = next.atUs
    next.run()
    return true
  }

  #pop(): Entry | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let place = 0
    for (;;) {
      const left = heap[2 * place + 1]
      if (left === undefined) break
      const right = heap[2 * place + 2]
      const rightFirst = right !== undefined && isBefore(right, left)
      const child = rightFirst ? right : left
      if (isBefore(last, child)) break
      heap[place] = child
      place = 2 * place + (rightFirst ? 2 : 1)
    }
    heap[place] = last
    return top
  }
}

const isBefore = (a: Entry, b: Entry): boolean =>
  a.atUs < b.atUs || (a.atUs === b.atUs && a.ordinal < b.ordinal)
