import type { Message } from '../../../protocol/messages.ts'
import type { ReplicaId, Seq } from '../../../protocol/types.ts'

/** [CP1] Which checkpoints q replicas signed alike: once all is healed, each must be stable everywhere. */
export class Certified {
  readonly #quorum: number
  readonly #interval: number
  readonly #signers = new Map<string, Set<ReplicaId>>()
  #highest = 0

  constructor(args: { readonly quorum: number; readonly checkpointInterval: number }) {
    this.#quorum = args.quorum
    this.#interval = args.checkpointInterval
  }

  get highest(): Seq {
    return this.#highest as Seq
  }

  onWire(replica: ReplicaId, message: Message): void {
    if (message.type !== 'checkpoint' || message.replica !== replica) return
    const { seq, stateRoot, chain } = message
    if (seq <= this.#highest || seq % this.#interval !== 0) return
    const key = `${seq} ${stateRoot} ${chain}`
    const signers = this.#signers.get(key) ?? new Set()
    this.#signers.set(key, signers.add(replica))
    if (signers.size >= this.#quorum) this.#highest = seq
  }

  /** Its log is gone, and with it what nobody else may have received. */
  onLost(replica: ReplicaId): void {
    for (const signers of this.#signers.values()) signers.delete(replica)
  }
}
