import type { ReplicaId } from '../../protocol/types.ts'

/** At most f replicas are faulty at a time: lying, without their log or their rows, or with rows changed by hand. */
export class Budget {
  readonly #max: number
  readonly #faulty = new Map<ReplicaId, () => boolean>()

  constructor(max: number) {
    this.#max = max
  }

  /** False when this one may not be made faulty now. `isOver`: it is as good as any other again. */
  take(replica: ReplicaId, isOver: () => boolean): boolean {
    this.#forget()
    if (this.#faulty.has(replica) || this.#faulty.size >= this.#max) return false
    this.#faulty.set(replica, isOver)
    return true
  }

  /** Who is faulty now. */
  get faulty(): readonly ReplicaId[] {
    this.#forget()
    return [...this.#faulty.keys()]
  }

  #forget(): void {
    for (const [replica, isOver] of this.#faulty) if (isOver()) this.#faulty.delete(replica)
  }
}
