import type { Vote } from '../../protocol/messages.ts'
import type { Digest, ReplicaId } from '../../protocol/types.ts'

/**
 * Votes of distinct replicas about one thing: the one place that counts them. A replica's first vote stands; a
 * second one, equal or not, changes nothing. `D` is what votes must have in common to count together.
 */
export class Certificate<D extends string = Digest> {
  readonly #votes = new Map<ReplicaId, Vote & { readonly digest: D }>()

  /** False when this replica's vote was here already. */
  add(vote: Vote & { readonly digest: D }): boolean {
    if (this.#votes.has(vote.replica)) return false
    this.#votes.set(vote.replica, vote)
    return true
  }

  /** Forgets this replica's vote. True when no vote is left. */
  drop(replica: ReplicaId): boolean {
    this.#votes.delete(replica)
    return this.#votes.size === 0
  }

  of(replica: ReplicaId): (Vote & { readonly digest: D }) | undefined {
    return this.#votes.get(replica)
  }

  has(replica: ReplicaId): boolean {
    return this.#votes.has(replica)
  }

  /** How many distinct replicas voted for `digest`. */
  count(digest: D): number {
    let count = 0
    for (const vote of this.#votes.values()) if (vote.digest === digest) count += 1
    return count
  }

  /** The digest that at least `threshold` replicas voted for. */
  agreed(threshold: number): D | undefined {
    for (const { digest } of this.#votes.values()) if (this.count(digest) >= threshold) return digest
    return undefined
  }

  /** At most `max` of the votes for `digest`, in order of replica. */
  votesFor(digest: D, max: number): Vote[] {
    return [...this.#votes.values()]
      .filter((vote) => vote.digest === digest)
      .sort((a, b) => a.replica - b.replica)
      .slice(0, max)
      .map(({ replica, signature }) => ({ replica, signature }))
  }
}
