import type { ReplicaId, Seq } from '../../protocol/types.ts'

/** [CP4] Whom to fetch from: those who signed the target, in turn, without those who lied or do not hold it any more. */
export class TransferSources {
  /** Of the transfer under way: what they sent was not what they signed. */
  readonly #liars = new Set<ReplicaId>()
  /** The newest state that a replica said it does not hold any more. */
  readonly #notHeld = new Map<ReplicaId, Seq>()
  #current: ReplicaId | null = null

  get current(): ReplicaId | null {
    return this.#current
  }

  usable(signers: readonly ReplicaId[], seq: Seq): ReplicaId[] {
    return signers.filter((id) => !this.#liars.has(id) && (this.#notHeld.get(id) ?? 0) < seq)
  }

  /** The next usable one in turn after the current; null when there is none. */
  choose(signers: readonly ReplicaId[], seq: Seq): ReplicaId | null {
    const usable = this.usable(signers, seq).sort((a, b) => a - b)
    const after = usable.find((id) => id > (this.#current ?? -1))
    this.#current = after ?? usable[0] ?? null
    return this.#current
  }

  lied(replica: ReplicaId): void {
    this.#liars.add(replica)
  }

  letGo(replica: ReplicaId, seq: Seq): void {
    if (seq > (this.#notHeld.get(replica) ?? 0)) this.#notHeld.set(replica, seq)
  }

  /** It holds a state again. */
  offered(replica: ReplicaId): void {
    this.#notHeld.delete(replica)
  }

  reset(): void {
    this.#liars.clear()
    this.#notHeld.clear()
    this.#current = null
  }
}
