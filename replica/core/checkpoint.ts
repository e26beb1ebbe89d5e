import type { Checkpoint } from '../../protocol/messages.ts'
import type { Digest, LogPosition, PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import { ZERO_DIGEST } from '../../protocol/types.ts'
import { type CoreConfig, type CoreCrypto, peersOf } from './config.ts'
import type { CheckId, Claim } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import type { VoteRecord } from './vote-record.ts'

export type StableRecord = Extract<VoteRecord, { kind: 'stable' }>

const claimOf = ({ seq, stateRoot, chain, replica, signature }: Checkpoint): Claim => ({
  statement: { type: 'checkpoint', view: 0, seq, signer: replica, digests: [stateRoot, chain] },
  signature,
})

/** A digest that stands for both parts of the state, so that matching is one comparison. */
const stateOf = ({ stateRoot, chain }: { stateRoot: Digest; chain: Digest }): string => stateRoot + chain

/** [CP1] CHECKPOINTs, own and others', and the stable one that moves the water marks. */
export class Checkpoints {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #peers: readonly ReplicaId[]
  /** Verified, the newest few of each sender, by seq. */
  readonly #bySender = new Map<ReplicaId, Map<Seq, Checkpoint>>()
  readonly #pending = new Map<CheckId, Checkpoint>()
  readonly #perSenderMax: number
  /** Own ones count once they are durable. */
  #own: { readonly at: LogPosition; readonly checkpoint: Checkpoint }[] = []
  #lastOwn: Seq
  #stable: StableRecord | null

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    execution: Execution
    stable: StableRecord | null
    /** The newest that this replica signed before it restarted; never a second one for a seq. */
    lastOwn: Seq
  }) {
    this.#config = args.config
    this.#crypto = args.crypto
    this.#outbox = args.outbox
    this.#log = args.log
    this.#execution = args.execution
    this.#stable = args.stable
    this.#lastOwn = args.lastOwn
    this.#peers = peersOf(args.config)
    this.#perSenderMax = Math.ceil(args.config.logWindow / args.config.checkpointInterval) + 1
  }

  get stable(): StableRecord | null {
    return this.#stable
  }

  /** The newest this replica signed and may show. */
  get newestOwn(): Checkpoint | null {
    return [...(this.#bySender.get(this.#config.self)?.values() ?? [])].at(-1) ?? null
  }

  /** The state after `seq` is in the database, durably [D4]. */
  onExecuted(seq: Seq, chain: Digest): void {
    if (seq % this.#config.checkpointInterval === 0 && seq > this.#lastOwn) this.#sign(seq, chain)
    this.#settle()
  }

  #sign(seq: Seq, chain: Digest): void {
    const replica = this.#config.self
    const stateRoot = ZERO_DIGEST
    const signature = this.#crypto.sign({
      type: 'checkpoint',
      view: 0,
      seq,
      signer: replica,
      digests: [stateRoot, chain],
    })
    this.#lastOwn = seq
    const checkpoint: Checkpoint = { type: 'checkpoint', seq, stateRoot, chain, replica, signature }
    const at = this.#outbox.persist({ kind: 'checkpoint', seq, stateRoot, chain, signature })
    this.#own.push({ at, checkpoint })
    this.#outbox.send(this.#peers, checkpoint, at)
  }

  /** An own CHECKPOINT from the vote log. */
  restoreOwn(checkpoint: Checkpoint): void {
    this.#keep(checkpoint)
  }

  onPersisted(): void {
    const ready = this.#own.filter(({ at }) => at <= this.#outbox.durable)
    if (ready.length === 0) return
    this.#own = this.#own.slice(ready.length)
    for (const { checkpoint } of ready) this.#keep(checkpoint)
    this.#settle()
  }

  /** Relayed ones too: the signature says whose it is. */
  onCheckpoint(from: PrincipalId, checkpoint: Checkpoint): void {
    const { seq, replica } = checkpoint
    if (replica >= this.#config.quorum.n || replica === this.#config.self) {
      return this.#outbox.reject(from, 'not-own-vote')
    }
    if (seq <= this.#log.lowWaterMark || seq % this.#config.checkpointInterval !== 0) return
    const known = this.#bySender.get(replica)
    if (known?.has(seq) === true) return
    // The newest few of a sender are kept, also above H: an older one than all of a full set says nothing new.
    if (known !== undefined && known.size >= this.#perSenderMax && seq < Math.min(...known.keys())) return
    this.#pending.set(this.#outbox.verify([claimOf(checkpoint)]), checkpoint)
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const checkpoint = this.#pending.get(check)
    if (checkpoint === undefined) return false
    this.#pending.delete(check)
    if (valid[0] === true) {
      this.#keep(checkpoint)
      this.#settle()
    } else this.#outbox.reject(checkpoint.replica, 'bad-signature')
    return true
  }

  #keep(checkpoint: Checkpoint): void {
    let known = this.#bySender.get(checkpoint.replica)
    if (known === undefined) {
      known = new Map()
      this.#bySender.set(checkpoint.replica, known)
    }
    if (known.has(checkpoint.seq)) return
    known.set(checkpoint.seq, checkpoint)
    const sorted = [...known.entries()].sort(([a], [b]) => a - b).slice(-this.#perSenderMax)
    known.clear()
    for (const [seq, kept] of sorted) known.set(seq, kept)
  }

  /** The newest seq that q matching CHECKPOINTs prove, and whose state is here, becomes stable. */
  #settle(): void {
    const proven = this.#newestProven()
    if (proven === null || proven.seq <= this.#log.lowWaterMark) return
    this.#checkAgainstOwn(proven)
    if (proven.seq > this.#execution.lastExecuted) return
    const { seq, stateRoot, chain } = proven
    const checkpoints = this.#matching(proven)
      .slice(0, this.#config.quorum.quorum)
      .map(({ replica, signature }) => ({ replica, signature }))
    this.#stable = { kind: 'stable', seq, stateRoot, chain, checkpoints }
    this.#outbox.persist(this.#stable)
    this.#log.moveTo(seq)
    for (const known of this.#bySender.values()) {
      for (const old of known.keys()) if (old < seq) known.delete(old)
    }
    this.#outbox.observe({ kind: 'stable', seq })
  }

  #newestProven(): Checkpoint | null {
    let newest: Checkpoint | null = null
    for (const known of this.#bySender.values()) {
      for (const checkpoint of known.values()) {
        if (newest !== null && checkpoint.seq <= newest.seq) continue
        if (this.#matching(checkpoint).length >= this.#config.quorum.quorum) newest = checkpoint
      }
    }
    return newest
  }

  #matching(wanted: Checkpoint): Checkpoint[] {
    const matching: Checkpoint[] = []
    for (const known of this.#bySender.values()) {
      const other = known.get(wanted.seq)
      if (other !== undefined && stateOf(other) === stateOf(wanted)) matching.push(other)
    }
    return matching
  }

  /** A quorum that disagrees with this replica's own state proves that the state here is wrong. */
  #checkAgainstOwn(proven: Checkpoint): void {
    const own = this.#bySender.get(this.#config.self)?.get(proven.seq)
    if (own === undefined || stateOf(own) === stateOf(proven)) return
    this.#outbox.effect({
      type: 'halt',
      fault: {
        code: 'diverged',
        seq: proven.seq,
        detail: `a quorum has chain ${proven.chain} at ${proven.seq}, this replica has ${own.chain}`,
      },
    })
  }

  /** What a peer whose low water mark is behind lacks: the stable certificate, and own CHECKPOINTs above it [CP5]. */
  resend(to: ReplicaId, theirLow: Seq): void {
    const stable = this.#stable
    if (stable !== null && stable.seq > theirLow) {
      const { seq, stateRoot, chain } = stable
      for (const vote of stable.checkpoints) {
        this.#outbox.send([to], { type: 'checkpoint', seq, stateRoot, chain, ...vote })
      }
    }
    for (const own of this.#bySender.get(this.#config.self)?.values() ?? []) {
      if (own.seq > Math.max(theirLow, stable?.seq ?? 0)) this.#outbox.send([to], own)
    }
  }
}
