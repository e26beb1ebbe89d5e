import type { ReplicaId, Seq } from '../../protocol/types.ts'
import type { Checkpoints } from './checkpoint.ts'
import type { CoreConfig } from './config.ts'
import type { Outbox } from './outbox.ts'

/** A peer that fetched nothing for so long has ended, or has another source. */
const LEASE_MS = 5_000
/** A state so many windows below the stable one is let go of, whoever fetches it: a newer target is nearer [CP4]. */
const LEASE_WINDOWS_MAX = 256
/** States above the stable one that are held for who will want them. */
const NEWER_MAX = 2

/** `isFetched`: the peer has begun to read it; until then it was only offered. */
type Lease = { readonly seq: Seq; readonly untilMs: number; readonly isFetched: boolean }

/**
 * [CP3] Which states the database holds for this replica: the newest stable one, the newest few above it, and what is
 * leased, one per peer. So no peer makes it hold more than one state; a lease pins the vote log above its state, too.
 */
export class HeldStates {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #checkpoints: Checkpoints
  readonly #held = new Set<Seq>()
  readonly #leases = new Map<ReplicaId, Lease>()
  /** Of the vote log, everything at or below this was given up. */
  #collected: Seq
  /** The stable seq that was last released at; null: something else changed since. */
  #releasedAt: Seq | null = null

  constructor(args: { config: CoreConfig; outbox: Outbox; checkpoints: Checkpoints; collected: Seq }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#checkpoints = args.checkpoints
    this.#collected = args.collected
  }

  has(seq: Seq): boolean {
    return this.#held.has(seq)
  }

  add(seq: Seq): void {
    this.#releasedAt = null
    this.#held.add(seq)
  }

  forget(seq: Seq): void {
    this.#releasedAt = null
    this.#held.delete(seq)
    for (const [peer, lease] of this.#leases) if (lease.seq === seq) this.#leases.delete(peer)
  }

  clear(): void {
    this.#releasedAt = null
    this.#held.clear()
    this.#leases.clear()
  }

  /**
   * Of the held states above `above`: what the peer is fetching, else the newest at a multiple of K, else the present
   * one. An older one in between would be offered again and again, and never match what others offer.
   */
  bestFor(
    peer: ReplicaId,
    { above, present }: { readonly above: Seq; readonly present: Seq },
  ): Seq | undefined {
    const lease = this.#leases.get(peer)
    if (lease?.isFetched === true && lease.seq > above) return lease.seq
    const regular = [...this.#held].filter((seq) => seq > above && this.#isRegular(seq))
    if (regular.length > 0) return Math.max(...regular) as Seq
    return present > above && this.#held.has(present) ? present : undefined
  }

  #isRegular(seq: Seq): boolean {
    return seq % this.#config.checkpointInterval === 0
  }

  /** `seq` must be held. */
  offer(peer: ReplicaId, seq: Seq): void {
    if (this.#leases.get(peer)?.seq === seq) return this.renew(peer)
    this.#lease(peer, { seq, isFetched: false })
  }

  /** `seq` must be held. */
  lease(peer: ReplicaId, seq: Seq): void {
    this.#lease(peer, { seq, isFetched: true })
  }

  renew(peer: ReplicaId): void {
    const lease = this.#leases.get(peer)
    if (lease !== undefined) this.#lease(peer, lease)
  }

  #lease(peer: ReplicaId, { seq, isFetched }: Pick<Lease, 'seq' | 'isFetched'>): void {
    if (this.#leases.get(peer)?.seq !== seq) this.#releasedAt = null
    this.#leases.set(peer, { seq, isFetched, untilMs: this.#outbox.nowMs + LEASE_MS })
  }

  /** Also of those that are fetched without end: the vote log cannot wait for them. */
  expire(): void {
    const oldest = this.#checkpoints.durableStable - LEASE_WINDOWS_MAX * this.#config.logWindow
    for (const [peer, { seq, untilMs }] of this.#leases) {
      if (untilMs > this.#outbox.nowMs && seq >= oldest) continue
      this.#leases.delete(peer)
      this.#releasedAt = null
    }
  }

  /** Lets go of what nobody needs. Returns up to where the vote log is given up. */
  release(): Seq {
    this.#releaseStates()
    const { logWindow } = this.#config
    if (this.#checkpoints.durableStable - logWindow <= this.#collected) return this.#collected
    // One more window than the protocol needs: who is a little late is served by messages [CP5].
    const leased = [...this.#leases.values()].map(({ seq }) => seq)
    const upTo = Math.min(this.#checkpoints.durableStable - logWindow, ...leased) as Seq
    if (upTo > this.#collected) {
      this.#collected = upTo
      this.#outbox.effect({ type: 'collect-garbage', upTo })
    }
    return this.#collected
  }

  #releaseStates(): void {
    const stable = this.#checkpoints.stable?.seq ?? (0 as Seq)
    if (stable === this.#releasedAt) return
    this.#releasedAt = stable
    const leased = [...this.#leases.values()].map(({ seq }) => seq)
    const newer = [...this.#held].filter((seq) => seq > stable && this.#isRegular(seq))
    const wanted = new Set([stable, ...newer.sort((a, b) => b - a).slice(0, NEWER_MAX), ...leased])
    const kept = [...this.#held].filter((seq) => wanted.has(seq))
    if (kept.length === this.#held.size) return
    this.#held.clear()
    for (const seq of kept) this.#held.add(seq)
    // At full load the next one is being taken whenever one becomes stable.
    const seqs = [...new Set([...kept, ...this.#checkpoints.taking])].sort((a, b) => a - b)
    this.#outbox.effect({ type: 'keep-checkpoints', seqs })
  }
}
