import type { Digest, Seq } from '../../protocol/types.ts'

/** Consecutive entries that are staged: the newest with its chain, the oldest with the chain below it. */
export type HistorySegment = {
  readonly top: Seq
  readonly chain: Digest
  readonly low: Seq
  readonly previous: Digest
}

/** Chains that were staged before the entries that are added; undefined: none. */
export type StagedBefore = {
  /** Right below the oldest of them, and at the newest. */
  readonly below: Digest | undefined
  readonly atTop: Digest | undefined
}

/** [CP4] Which history is staged, of one target or several: segments that are linked by the chain become one. */
export class StagedHistory {
  /** No two of them overlap. */
  #segments: HistorySegment[] = []
  /** Of all that was ever added, what is forgotten included. */
  #lowest = Number.POSITIVE_INFINITY
  #highest = 0

  /** Whether something that was added may be at a seq from right below `low` up to `top`. */
  mayHold({ low, top }: { readonly low: Seq; readonly top: Seq }): boolean {
    return low - 1 <= this.#highest && top >= this.#lowest
  }

  /** Returns the segment that the entries are now part of. What they overlap and do not continue is forgotten. */
  add(entries: HistorySegment, before: StagedBefore): HistorySegment {
    this.#lowest = Math.min(this.#lowest, entries.low)
    this.#highest = Math.max(this.#highest, entries.top)
    let whole = entries
    const apart: HistorySegment[] = []
    for (const segment of this.#segments) {
      const { top, low } = segment
      if (top < entries.low - 1 || low > entries.top + 1) {
        apart.push(segment)
        continue
      }
      if (low < entries.low && before.below === entries.previous) {
        whole = { ...whole, low, previous: segment.previous }
      }
      const linkedTo = low > entries.top ? segment.previous : before.atTop
      if (top > entries.top && linkedTo === entries.chain) {
        whole = { ...whole, top, chain: segment.chain }
      }
    }
    this.#segments = [...apart, whole]
    return whole
  }

  /** Forgets segments that end above a target: their chains say nothing of the chain there. */
  endAt(seq: Seq): void {
    this.#segments = this.#segments.filter(({ top }) => top <= seq)
  }

  /** The segment that ends at a target. */
  ending({ seq, chain }: { readonly seq: Seq; readonly chain: Digest }): HistorySegment | undefined {
    return this.#segments.find((segment) => segment.top === seq && segment.chain === chain)
  }
}
