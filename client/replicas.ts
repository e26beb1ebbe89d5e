import { type Quorum, quorumOf } from '../protocol/quorum.ts'
import type { PrincipalId, ReplicaId, View } from '../protocol/types.ts'
import { replicaId, view } from '../protocol/types.ts'

/** Who can be reached, and who is probably the primary. */
export class Replicas {
  readonly quorum: Quorum
  readonly #connected = new Set<ReplicaId>()
  readonly #views = new Map<ReplicaId, View>()
  #view: View = view(0)

  /** @throws RangeError below REPLICAS_MIN. */
  constructor(n: number) {
    this.quorum = quorumOf(n)
  }

  has(id: PrincipalId): id is ReplicaId {
    return Number.isInteger(id) && id >= 0 && id < this.quorum.n
  }

  up(id: ReplicaId): void {
    this.#connected.add(id)
  }

  down(id: ReplicaId): void {
    this.#connected.delete(id)
  }

  isConnected(id: ReplicaId): boolean {
    return this.#connected.has(id)
  }

  get connected(): ReplicaId[] {
    return [...this.#connected].sort((a, b) => a - b)
  }

  get primary(): ReplicaId {
    return replicaId(this.#view % this.quorum.n)
  }

  get view(): View {
    return this.#view
  }

  /**
   * [NC6] A reply's view is a hint. The (f+1)-th highest of what replicas last named is at most a correct replica's
   * view. True when the supposed view moved.
   */
  heardView(from: ReplicaId, heard: View): boolean {
    if (this.#views.get(from) === heard) return false
    this.#views.set(from, heard)
    const highestFirst = [...this.#views.values()].sort((a, b) => b - a)
    const supposed = highestFirst[this.quorum.weak - 1]
    if (supposed === undefined || supposed <= this.#view) return false
    this.#view = supposed
    return true
  }
}
