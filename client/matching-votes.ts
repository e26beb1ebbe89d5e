import type { ReplicaId } from '../protocol/types.ts'

/**
 * The client's one place that counts: each replica has one vote, its latest. What a correct replica said of an
 * executed request stays true, so a later vote may replace an earlier one; a liar still has only one.
 */
export class MatchingVotes<T> {
  readonly #same: (a: T, b: T) => boolean
  readonly #votes = new Map<ReplicaId, T>()

  constructor(same: (a: T, b: T) => boolean) {
    this.#same = same
  }

  /** How many replicas say `value`, this one included. */
  cast(voter: ReplicaId, value: T): number {
    this.#votes.set(voter, value)
    return this.#count(value)
  }

  get voters(): number {
    return this.#votes.size
  }

  /** The votes of the largest group. */
  get largest(): number {
    let most = 0
    for (const value of this.#votes.values()) most = Math.max(most, this.#count(value))
    return most
  }

  dissenters(value: T): ReplicaId[] {
    return [...this.#votes].filter(([, other]) => !this.#same(value, other)).map(([voter]) => voter)
  }

  #count(value: T): number {
    let count = 0
    for (const other of this.#votes.values()) if (this.#same(value, other)) count++
    return count
  }
}
