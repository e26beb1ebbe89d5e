import { type Quorum, quorumOf } from '../protocol/quorum.ts'
import type { PrincipalId, ReplicaId } from '../protocol/types.ts'

/** Who can be reached. */
export class Replicas {
  readonly quorum: Quorum
  readonly #connected = new Set<ReplicaId>()

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

  get connected(): ReplicaId[] {
    return [...this.#connected].sort((a, b) => a - b)
  }
}
