import type { ViewChange } from '../../protocol/messages.ts'
import type { ReplicaId } from '../../protocol/types.ts'
import type { Incarnation } from './event.ts'

/** [D5] What executed RECOVERs set: replicated state, as far as this replica executed. */
export class Incarnations {
  readonly #byReplica = new Map<ReplicaId, Incarnation>()

  constructor(incarnations: readonly Incarnation[]) {
    this.learn(incarnations)
  }

  learn(incarnations: readonly Incarnation[]): void {
    for (const one of incarnations) {
      if (one.incarnation > (this.#byReplica.get(one.replica)?.incarnation ?? 0)) {
        this.#byReplica.set(one.replica, one)
      }
    }
  }

  /** Those that are not known here. */
  newIn(incarnations: readonly Incarnation[]): Incarnation[] {
    return incarnations.filter(
      ({ replica, incarnation }) => incarnation > (this.of(replica)?.incarnation ?? 0),
    )
  }

  of(replica: ReplicaId): Incarnation | undefined {
    return this.#byReplica.get(replica)
  }

  /** A replica that came back votes from its V on, and what it said of higher views before binds nobody. */
  isVoid({ replica, incarnation, newView }: ViewChange): boolean {
    const known = this.#byReplica.get(replica)
    return known !== undefined && incarnation < known.incarnation && newView > known.view
  }

  *all(): Generator<Incarnation> {
    yield* this.#byReplica.values()
  }
}
