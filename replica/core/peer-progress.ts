import type { Status } from '../../protocol/messages.ts'
import type { ReplicaId, Seq } from '../../protocol/types.ts'
import type { CoreConfig } from './config.ts'

/** What a peer said is believed for so many times statusIdleMs: whoever is alive says it again in one. */
const AGE_MAX = 3
/** Times in a row that a source may bring nothing, before it counts as one that cannot serve. */
const SILENT_MAX = 4

type Claim = {
  readonly lastExecuted: Seq
  readonly servedFrom: Seq
  ageMs: number
  silent: number
}

/** [CP5] How far each peer says it is, from where on it can serve the others, and whether it does. */
export class PeerProgress {
  readonly #config: CoreConfig
  readonly #claims = new Map<ReplicaId, Claim>()

  constructor(config: CoreConfig) {
    this.#config = config
  }

  onStatus(peer: ReplicaId, { lastExecuted, servedFrom }: Status): void {
    const silent = this.#claims.get(peer)?.silent ?? 0
    this.#claims.set(peer, { lastExecuted, servedFrom, ageMs: 0, silent })
  }

  onTick(): void {
    for (const [peer, claim] of this.#claims) {
      claim.ageMs += this.#config.statusBusyMs
      if (claim.ageMs > AGE_MAX * this.#config.statusIdleMs) this.#claims.delete(peer)
    }
  }

  onSessionDown(peer: ReplicaId): void {
    this.#claims.delete(peer)
  }

  onSilent(peer: ReplicaId): void {
    const claim = this.#claims.get(peer)
    if (claim !== undefined) claim.silent += 1
  }

  onBrought(peer: ReplicaId): void {
    const claim = this.#claims.get(peer)
    if (claim !== undefined) claim.silent = 0
  }

  /** At least one correct replica executed this far. */
  get target(): number {
    const executed = [...this.#claims.values()].map(({ lastExecuted }) => lastExecuted)
    return executed.sort((a, b) => b - a)[this.#config.quorum.weak - 1] ?? 0
  }

  /** As far as anybody says to have executed, and did not fail to bring when it was asked. */
  get furthest(): number {
    let furthest = 0
    for (const { lastExecuted, silent } of this.#claims.values()) {
      if (silent < SILENT_MAX && lastExecuted > furthest) furthest = lastExecuted
    }
    return furthest
  }

  /** Whether `peer` can bring what follows `frontier`, by its own word and by what it brought so far. */
  canServe(peer: ReplicaId, frontier: Seq): boolean {
    const claim = this.#claims.get(peer)
    if (claim === undefined || claim.silent >= SILENT_MAX) return false
    return claim.lastExecuted > frontier && claim.servedFrom <= frontier
  }
}
