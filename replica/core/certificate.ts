import type { Vote } from '../../protocol/messages.ts'
import type { Digest, ReplicaId } from '../../protocol/types.ts'

type Signed = Vote & { readonly digest: Digest }

/**
 * Votes of distinct replicas about one thing: the one place that counts them. A replica's first vote stands; a
 * second one, equal or not, changes nothing.
 */
export class Certificate {
  readonly #votes = new Map<ReplicaId, Signed>()

  /** False when this replica's vote was here already. */
  add(vote: Signed): boolean {
    if (this.#votes.has(vote.replica)) return false
    this.#votes.set(vote.replica, vote)
    return true
  }

  has(replica: ReplicaId): boolean {
    return this.#votes.has(replica)
  }

  /** How many distinct replicas voted for `digest`. */
  count(digest: Digest): number {
    let count = 0
    for (const vote of this.#votes.values()) if (vote.digest === digest) count += 1
    return count
  }

  /** The digest that at least `threshold` replicas voted for. */
  agreed(threshold: number): Digest | undefined {
    for (const { digest } of this.#votes.values()) if (this.count(digest) >= threshold) return digest
    return undefined
  }

  /** At most `max` of the votes for `digest`, in order of replica. */
  votesFor(digest: Digest, max: number): Vote[] {
    return [...this.#votes.values()]
      .filter((vote) => vote.digest === digest)
      .sort((a, b) => a.replica - b.replica)
      .slice(0, max)
      .map(({ replica, signature }) => ({ replica, signature }))
  }
}
