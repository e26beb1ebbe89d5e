import type { Reply } from '../protocol/messages.ts'
import type { Quorum } from '../protocol/quorum.ts'
import type { ReplicaId, RequestNumber } from '../protocol/types.ts'
import { MatchingVotes } from './matching-votes.ts'

export type Verdict =
  /** q replicas gave these result bytes [NC6]. */
  | { readonly kind: 'executed'; readonly result: Uint8Array; readonly dissenters: readonly ReplicaId[] }
  /** q replicas hold an entry beyond the request, or another request of its number. */
  | { readonly kind: 'superseded'; readonly entryNumber: RequestNumber }

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/**
 * [NC6] What replicas say of one request; the caller has matched client, lane, number and digest. A replica may vote
 * once in each of the two ballots: it executes a request and finds it superseded later, and both are true. At most f
 * liars are in either, so neither can be forged, nor can a vote in one block the other.
 */
export class ReplyCertificate {
  readonly #quorum: Quorum
  readonly #number: RequestNumber
  readonly #executed = new MatchingVotes<Uint8Array>(sameBytes)
  readonly #entries = new Map<ReplicaId, RequestNumber>()

  constructor(quorum: Quorum, number: RequestNumber) {
    this.#quorum = quorum
    this.#number = number
  }

  add(from: ReplicaId, outcome: Reply['outcome']): Verdict | undefined {
    if (outcome.kind === 'executed') {
      const { result } = outcome
      if (this.#executed.cast(from, result) < this.#quorum.quorum) return undefined
      return { kind: 'executed', result, dissenters: this.#executed.dissenters(result) }
    }
    const entryNumber = outcome.kind === 'superseded' ? outcome.entryNumber : this.#number
    this.#entries.set(from, entryNumber)
    if (this.#entries.size < this.#quorum.quorum) return undefined
    return { kind: 'superseded', entryNumber: this.#entryNumber() }
  }

  /**
   * [NC5] The (f+1)-th highest: some correct replica's entry is at least that, so liars cannot push it up. Taken over
   * q answers because a liar among the first f+1 could hold it down for ever.
   */
  #entryNumber(): RequestNumber {
    const highestFirst = [...this.#entries.values()].sort((a, b) => b - a)
    return highestFirst[this.#quorum.weak - 1] ?? this.#number
  }
}
