import type { Checkpoint } from '../../protocol/messages.ts'
import type { Digest, ReplicaId, Seq } from '../../protocol/types.ts'
import { Certificate } from './certificate.ts'
import type { CoreConfig } from './config.ts'

/** A state, as CHECKPOINTs name it. */
export type NamedState = { readonly seq: Seq; readonly stateRoot: Digest; readonly chain: Digest }

/** A state that a correct replica has: f+1 others signed it. */
export type WeakState = NamedState & { readonly signers: readonly ReplicaId[]; readonly isRegular: boolean }

/** Both parts of the state, which must match together. */
export type StateKey = `${Digest}/${Digest}`
export const stateKey = ({ stateRoot, chain }: Pick<NamedState, 'stateRoot' | 'chain'>): StateKey =>
  `${stateRoot}/${chain}`

export function namedState(seq: Seq, key: StateKey): NamedState {
  const [stateRoot, chain] = key.split('/') as [Digest, Digest]
  return { seq, stateRoot, chain }
}

type AtSeq = {
  readonly all: Certificate<StateKey>
  /** Without this replica's own: f+1 of these hold a correct one, whatever happened to the rows here. */
  readonly others: Certificate<StateKey>
}

/**
 * [CP1] Verified CHECKPOINTs: of each sender the newest L/K + 1 at multiples of K, also above H, and the last one
 * between them, which a transfer asked for [CP4].
 */
export class CheckpointVotes {
  readonly #config: CoreConfig
  readonly #regularMax: number
  readonly #bySender = new Map<ReplicaId, Map<Seq, Checkpoint>>()
  readonly #bySeq = new Map<Seq, AtSeq>()

  constructor(config: CoreConfig) {
    this.#config = config
    this.#regularMax = Math.ceil(config.logWindow / config.checkpointInterval) + 1
  }

  isRegular(seq: Seq): boolean {
    return seq % this.#config.checkpointInterval === 0
  }

  of(replica: ReplicaId, seq: Seq): Checkpoint | undefined {
    return this.#bySender.get(replica)?.get(seq)
  }

  /** Whether one of this sender at `seq` says something new: not when all of a full set are newer. */
  wants(replica: ReplicaId, seq: Seq): boolean {
    if (this.of(replica, seq) !== undefined) return false
    if (!this.isRegular(seq)) return true
    const regular = this.#seqsOf(replica, true)
    return regular.length < this.#regularMax || seq > (regular[0] ?? 0)
  }

  /** Ascending. */
  #seqsOf(replica: ReplicaId, regular: boolean): Seq[] {
    const seqs = [...(this.#bySender.get(replica)?.keys() ?? [])]
    return seqs.filter((seq) => this.isRegular(seq) === regular).sort((a, b) => a - b)
  }

  /** A sender's first one for a seq stands. */
  add(checkpoint: Checkpoint): void {
    const { seq, replica, signature } = checkpoint
    if (!this.wants(replica, seq)) return
    if (this.isRegular(seq)) {
      const regular = this.#seqsOf(replica, true)
      if (regular.length >= this.#regularMax) this.drop(replica, regular[0] as Seq)
    } else for (const old of this.#seqsOf(replica, false)) this.drop(replica, old)
    const kept = this.#bySender.get(replica) ?? new Map<Seq, Checkpoint>()
    this.#bySender.set(replica, kept)
    kept.set(seq, checkpoint)
    const at = this.#bySeq.get(seq) ?? { all: new Certificate(), others: new Certificate() }
    this.#bySeq.set(seq, at)
    const vote = { replica, signature, digest: stateKey(checkpoint) }
    at.all.add(vote)
    if (replica !== this.#config.self) at.others.add(vote)
  }

  drop(replica: ReplicaId, seq: Seq): void {
    this.#bySender.get(replica)?.delete(seq)
    const at = this.#bySeq.get(seq)
    if (at === undefined) return
    at.others.drop(replica)
    if (at.all.drop(replica)) this.#bySeq.delete(seq)
  }

  dropBelow(low: Seq): void {
    for (const [replica, kept] of this.#bySender) {
      for (const seq of kept.keys()) if (seq < low) this.drop(replica, seq)
    }
  }

  /** What q CHECKPOINTs, this replica's own among them or not, say of `seq`, and q of them. */
  provenAt(seq: Seq): { readonly state: NamedState; readonly checkpoints: readonly Checkpoint[] } | null {
    const { quorum } = this.#config.quorum
    const all = this.#bySeq.get(seq)?.all
    const key = all?.agreed(quorum)
    if (all === undefined || key === undefined) return null
    const state = namedState(seq, key)
    const votes = all.votesFor(key, quorum)
    return { state, checkpoints: votes.map((vote) => ({ type: 'checkpoint', ...state, ...vote })) }
  }

  weakAt(seq: Seq): WeakState | null {
    const { weak, n } = this.#config.quorum
    const others = this.#bySeq.get(seq)?.others
    const key = others?.agreed(weak)
    if (others === undefined || key === undefined) return null
    const signers = others.votesFor(key, n).map(({ replica }) => replica)
    return { ...namedState(seq, key), signers, isRegular: this.isRegular(seq) }
  }

  /** States above `above` that f+1 others signed, newest first. */
  weakAbove(above: number): WeakState[] {
    const seqs = [...this.#bySeq.keys()].filter((seq) => seq > above).sort((a, b) => b - a)
    return seqs.flatMap((seq) => this.weakAt(seq) ?? [])
  }
}
