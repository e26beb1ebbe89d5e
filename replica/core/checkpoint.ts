import type { Checkpoint } from '../../protocol/messages.ts'
import type { Digest, LogPosition, PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import { ZERO_DIGEST } from '../../protocol/types.ts'
import { Certificate } from './certificate.ts'
import { type CoreConfig, type CoreCrypto, peersOf } from './config.ts'
import type { CheckId, Claim, Fault } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import type { VoteRecord } from './vote-record.ts'

export type StableRecord = Extract<VoteRecord, { kind: 'stable' }>

const claimOf = ({ seq, stateRoot, chain, replica, signature }: Checkpoint): Claim => ({
  statement: { type: 'checkpoint', view: 0, seq, signer: replica, digests: [stateRoot, chain] },
  signature,
})

/** Both parts of the state, which must match together. */
type StateKey = `${Digest}/${Digest}`
const stateKey = ({ stateRoot, chain }: { stateRoot: Digest; chain: Digest }): StateKey =>
  `${stateRoot}/${chain}`

/** [CP1] CHECKPOINTs, own and others', and the stable one that moves the water marks. */
export class Checkpoints {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #peers: readonly ReplicaId[]
  /** Verified ones, by seq. */
  readonly #certificates = new Map<Seq, Certificate<StateKey>>()
  /** The newest few of each sender, ascending. */
  readonly #seqsOf = new Map<ReplicaId, Seq[]>()
  readonly #ownBySeq = new Map<Seq, Checkpoint>()
  readonly #pending = new Map<CheckId, { readonly from: PrincipalId; readonly checkpoint: Checkpoint }>()
  readonly #perSenderMax: number
  /** Own ones count once they are durable. */
  #unsettled: { readonly at: LogPosition; readonly checkpoint: Checkpoint }[] = []
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
    return this.#ownBySeq.get(this.#seqsOf.get(this.#config.self)?.at(-1) ?? (0 as Seq)) ?? null
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
    this.#unsettled.push({ at, checkpoint })
    this.#outbox.send(this.#peers, checkpoint, at)
  }

  /** An own CHECKPOINT from the vote log. */
  restoreOwn(checkpoint: Checkpoint): void {
    this.#keep(checkpoint)
  }

  onPersisted(): void {
    const ready = this.#unsettled.filter(({ at }) => at <= this.#outbox.durable)
    if (ready.length === 0) return
    this.#unsettled = this.#unsettled.slice(ready.length)
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
    const known = this.#seqsOf.get(replica) ?? []
    if (known.includes(seq)) return
    // The newest few of a sender are kept, also above H: an older one than all of a full set says nothing new.
    if (known.length >= this.#perSenderMax && seq < (known[0] ?? 0)) return
    this.#pending.set(this.#outbox.verify([claimOf(checkpoint)]), { from, checkpoint })
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    if (valid[0] === true) {
      this.#keep(pending.checkpoint)
      this.#settle()
    } else this.#outbox.reject(pending.from, 'bad-signature')
    return true
  }

  #keep(checkpoint: Checkpoint): void {
    const { seq, replica, signature } = checkpoint
    const seqs = this.#seqsOf.get(replica) ?? []
    if (seqs.includes(seq)) return
    if (replica === this.#config.self) this.#ownBySeq.set(seq, checkpoint)
    let certificate = this.#certificates.get(seq)
    if (certificate === undefined) {
      certificate = new Certificate()
      this.#certificates.set(seq, certificate)
    }
    certificate.add({ replica, signature, digest: stateKey(checkpoint) })
    this.#seqsOf.set(
      replica,
      [...seqs, seq].sort((a, b) => a - b),
    )
    if (seqs.length >= this.#perSenderMax) this.#forgetOldest(replica)
  }

  #forgetOldest(replica: ReplicaId): void {
    const [oldest, ...rest] = this.#seqsOf.get(replica) ?? []
    if (oldest === undefined) return
    this.#seqsOf.set(replica, rest)
    if (replica === this.#config.self) this.#ownBySeq.delete(oldest)
    if (this.#certificates.get(oldest)?.drop(replica) === true) this.#certificates.delete(oldest)
  }

  /** The newest seq that q matching CHECKPOINTs prove, and whose state or a later one is here, becomes stable. */
  #settle(): void {
    const proven = this.#newestProven()
    if (proven === null || proven.seq <= this.#log.lowWaterMark) return
    const fault = this.#divergence(proven)
    if (fault !== null) return this.#outbox.effect({ type: 'halt', fault })
    this.#stable = proven
    this.#outbox.persist(proven)
    this.#log.moveTo(proven.seq)
    for (const [replica, seqs] of this.#seqsOf) {
      for (const old of seqs) if (old < proven.seq) this.#forgetOldest(replica)
    }
    this.#outbox.observe({ kind: 'stable', seq: proven.seq })
  }

  #newestProven(): StableRecord | null {
    let newest: StableRecord | null = null
    for (const [seq, certificate] of this.#certificates) {
      if (seq > this.#execution.lastExecuted || seq <= (newest?.seq ?? 0)) continue
      const key = certificate.agreed(this.#config.quorum.quorum)
      if (key === undefined) continue
      const [stateRoot, chain] = key.split('/') as [Digest, Digest]
      newest = {
        kind: 'stable',
        seq,
        stateRoot,
        chain,
        checkpoints: certificate.votesFor(key, this.#config.quorum.quorum),
      }
    }
    return newest
  }

  /** What this replica signed for `seq`, durable or not yet. */
  ownAt(seq: Seq): Checkpoint | undefined {
    return (
      this.#unsettled.find(({ checkpoint }) => checkpoint.seq === seq)?.checkpoint ?? this.#ownBySeq.get(seq)
    )
  }

  /** A quorum that disagrees with this replica's own state, durable here or not yet, proves that it is wrong. */
  #divergence(proven: StableRecord): Fault | null {
    const { seq, chain } = proven
    const own = this.ownAt(seq)
    if (own === undefined || stateKey(own) === stateKey(proven)) return null
    const detail = `a quorum has chain ${chain} at ${seq}, this replica has ${own.chain}`
    return { code: 'diverged', seq, detail }
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
    for (const own of this.#ownBySeq.values()) {
      if (own.seq > Math.max(theirLow, stable?.seq ?? 0)) this.#outbox.send([to], own)
    }
  }
}
