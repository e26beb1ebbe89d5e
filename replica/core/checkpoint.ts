import type { AccountableClaim, Checkpoint } from '../../protocol/messages.ts'
import type { LogPosition, PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import {
  CheckpointVotes,
  type NamedState,
  type StateKey,
  stateKey,
  type WeakState,
} from './checkpoint-votes.ts'
import { type CoreConfig, type CoreCrypto, peersOf } from './config.ts'
import type { CheckId } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import type { VoteRecord } from './vote-record.ts'

export type StableRecord = Extract<VoteRecord, { kind: 'stable' }>

/** This replica's state at a seq is not the others': its rows were changed, or its whole history is another. */
export type Divergence = { readonly seq: Seq; readonly differs: 'rows' | 'history' }

/** Repairs in a row that a quorum contradicts again, before this replica stops: it computes other results. */
const REPAIRS_MAX = 3

export const checkpointClaim = ({
  seq,
  stateRoot,
  chain,
  replica,
  signature,
}: Checkpoint): AccountableClaim => ({
  statement: { type: 'checkpoint', view: 0, seq, signer: replica, digests: [stateRoot, chain] },
  signature,
})

type Own = { readonly checkpoint: Checkpoint; readonly at: LogPosition }

/** [CP1] CHECKPOINTs, own and others', and the stable one that moves the water marks. */
export class Checkpoints {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #execution: Execution
  readonly #peers: readonly ReplicaId[]
  readonly #votes: CheckpointVotes
  readonly #ownMax: number
  /** The newest that this replica signed. They count, and may be shown, once they are durable. */
  readonly #own = new Map<Seq, Own>()
  /** What this replica's state was at its newest checkpoints, signed or not. */
  readonly #taken = new Map<Seq, StateKey>()
  /** Executed multiples of K whose state is being taken. */
  readonly #taking = new Set<Seq>()
  /** States that q CHECKPOINTs prove, the newest few: not stable before this replica is there. */
  readonly #proven = new Map<Seq, StableRecord>()
  readonly #pending = new Map<CheckId, { readonly from: PrincipalId; readonly checkpoint: Checkpoint }>()
  /** Being verified: who sent whose. */
  readonly #checking = new Set<string>()
  #unsettled: Own[] = []
  #lastOwn: Seq
  #stable: StableRecord | null
  /** Where stable records are in the vote log that are not known to be durable. */
  #unsettledStable: { readonly at: LogPosition; readonly seq: Seq }[] = []
  #durableStable: Seq
  #divergence: Divergence | null = null
  #repairs = 0

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
    this.#durableStable = args.stable?.seq ?? (0 as Seq)
    this.#lastOwn = args.lastOwn
    this.#peers = peersOf(args.config)
    this.#votes = new CheckpointVotes(args.config)
    this.#ownMax = Math.ceil(args.config.logWindow / args.config.checkpointInterval) + args.config.quorum.n
    for (const checkpoint of this.proof) this.#votes.add(checkpoint)
  }

  get stable(): StableRecord | null {
    return this.#stable
  }

  /** [D1] The vote log is cut below this one only: a restart must find its record. */
  get durableStable(): Seq {
    return this.#durableStable
  }

  /** [VC1] The CHECKPOINTs that prove h; none at 0. */
  get proof(): readonly Checkpoint[] {
    if (this.#stable === null) return []
    const { seq, stateRoot, chain, checkpoints } = this.#stable
    return checkpoints.map((vote) => ({ type: 'checkpoint', seq, stateRoot, chain, ...vote }))
  }

  /** The newest at a multiple of K that this replica signed and may show. */
  get newestOwn(): Checkpoint | null {
    let newest: Checkpoint | null = null
    for (const [seq, { checkpoint, at }] of this.#own) {
      if (!this.#votes.isRegular(seq) || at > this.#outbox.durable) continue
      if (seq > (newest?.seq ?? 0)) newest = checkpoint
    }
    return newest
  }

  /** States that the database holds already, though their roots are not known yet. */
  get taking(): Iterable<Seq> {
    return this.#taking
  }

  /** [CP6] Set until a repair is installed. */
  get divergence(): Divergence | null {
    return this.#divergence
  }

  /** What this replica signed for `seq`, durable or not yet. */
  ownAt(seq: Seq): Checkpoint | undefined {
    return this.#own.get(seq)?.checkpoint
  }

  /** [D1] Nothing that shows the own CHECKPOINT at `seq` is sent before this is durable. */
  ownPosition(seq: Seq): LogPosition {
    return this.#own.get(seq)?.at ?? (0 as LogPosition)
  }

  /** [CP4] States above `above` that f+1 others signed, newest first. */
  weakAbove(above: number): WeakState[] {
    return this.#votes.weakAbove(above)
  }

  /** An own CHECKPOINT from the vote log. One that a quorum contradicted since is not shown again [CP6]. */
  restoreOwn(checkpoint: Checkpoint): void {
    const { seq } = checkpoint
    if (seq < (this.#stable?.seq ?? 0)) return
    if (seq === this.#stable?.seq && stateKey(checkpoint) !== stateKey(this.#stable)) return
    this.#keepOwn({ checkpoint, at: 0 as LogPosition })
    this.#remember(checkpoint)
    this.#votes.add(checkpoint)
  }

  /**
   * The state after `seq` is held, and its root known. It is signed when that is above everything signed before (so
   * also after a repair [CP6]), `mayVote` [D5], and nobody proved another state. Nothing is signed below h, since a
   * restart forgets what was signed there.
   */
  onTaken(state: NamedState, { mayVote }: { mayVote: boolean }): void {
    this.#taking.delete(state.seq)
    this.#remember(state)
    this.#compare(state.seq)
    const isNew = state.seq > this.#lastOwn && state.seq >= (this.#stable?.seq ?? 0)
    if (mayVote && this.#divergence === null && isNew) this.#sign(state)
    this.#settle()
  }

  #remember(state: NamedState): void {
    this.#taken.set(state.seq, stateKey(state))
    if (this.#taken.size > this.#ownMax) this.#taken.delete(lowest(this.#taken.keys()))
  }

  #sign({ seq, stateRoot, chain }: NamedState): void {
    const replica = this.#config.self
    const digests = [stateRoot, chain]
    const signature = this.#crypto.sign({ type: 'checkpoint', view: 0, seq, signer: replica, digests })
    const checkpoint: Checkpoint = { type: 'checkpoint', seq, stateRoot, chain, replica, signature }
    const at = this.#outbox.persist({ kind: 'checkpoint', seq, stateRoot, chain, signature })
    this.#lastOwn = seq
    this.#keepOwn({ checkpoint, at })
    this.#unsettled.push({ checkpoint, at })
    // One between the multiples of K serves whoever asked for it, and nobody else [CP4].
    if (this.#votes.isRegular(seq)) this.#outbox.send(this.#peers, checkpoint, at)
  }

  #keepOwn(own: Own): void {
    this.#own.set(own.checkpoint.seq, own)
    if (this.#own.size > this.#ownMax) this.#own.delete(lowest(this.#own.keys()))
  }

  onPersisted(): void {
    for (const { at, seq } of this.#unsettledStable) if (at <= this.#outbox.durable) this.#durableStable = seq
    this.#unsettledStable = this.#unsettledStable.filter(({ seq }) => seq > this.#durableStable)
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
    if (seq <= this.#log.lowWaterMark || !this.#votes.isRegular(seq)) return
    const name = `${from}/${replica}/${seq}`
    if (!this.#votes.wants(replica, seq) || this.#checking.has(name)) return
    this.#checking.add(name)
    this.#pending.set(this.#outbox.verify([checkpointClaim(checkpoint)]), { from, checkpoint })
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    const { from, checkpoint } = pending
    this.#checking.delete(`${from}/${checkpoint.replica}/${checkpoint.seq}`)
    if (valid[0] === true) {
      this.#keep(checkpoint)
      this.#settle()
    } else this.#outbox.reject(from, 'bad-signature')
    return true
  }

  /** [EV3] What `replica` signed for `seq`, verified, as far as it is still here. */
  signedBy(replica: ReplicaId, seq: Seq): Checkpoint | undefined {
    return this.#votes.of(replica, seq)
  }

  /** True for exactly this one, verified before. */
  isVerified(checkpoint: Checkpoint): boolean {
    const known = this.#votes.of(checkpoint.replica, checkpoint.seq) ?? this.ownAt(checkpoint.seq)
    return (
      known?.replica === checkpoint.replica &&
      stateKey(known) === stateKey(checkpoint) &&
      Buffer.compare(known.signature, checkpoint.signature) === 0
    )
  }

  /** Verified ones that came in other messages. q of one state prove it, whatever their senders said elsewhere. */
  admit(checkpoints: readonly Checkpoint[]): void {
    const [first] = checkpoints
    if (first === undefined) return
    for (const checkpoint of checkpoints) {
      if (checkpoint.replica !== this.#config.self && checkpoint.seq >= this.#log.lowWaterMark) {
        this.#keep(checkpoint)
      }
    }
    const same = checkpoints.filter(
      (one) =>
        one.seq === first.seq && one.replica < this.#config.quorum.n && stateKey(one) === stateKey(first),
    )
    const signers = new Map(same.map((one) => [one.replica, one]))
    if (signers.size >= this.#config.quorum.quorum) this.#prove(first, [...signers.values()])
    this.#compare(first.seq)
    this.#settle()
  }

  #keep(checkpoint: Checkpoint): void {
    this.#votes.add(checkpoint)
    const proven = this.#votes.provenAt(checkpoint.seq)
    if (proven !== null) this.#prove(proven.state, proven.checkpoints)
    this.#compare(checkpoint.seq)
  }

  #prove({ seq, stateRoot, chain }: NamedState, checkpoints: readonly Checkpoint[]): void {
    // Between the multiples of K nothing becomes stable: such a state serves transfer only [CP4].
    if (!this.#votes.isRegular(seq) || seq < this.#log.lowWaterMark) return
    const known = seq === this.#stable?.seq ? this.#stable : this.#proven.get(seq)
    if (known !== undefined) {
      if (stateKey(known) === stateKey({ stateRoot, chain })) return
      const detail = `two quorums sign different states at ${seq}: more than f replicas are faulty`
      return this.#outbox.effect({ type: 'halt', fault: { code: 'diverged', seq, detail } })
    }
    const votes = checkpoints
      .slice(0, this.#config.quorum.quorum)
      .map(({ replica, signature }) => ({ replica, signature }))
    this.#proven.set(seq, { kind: 'stable', seq, stateRoot, chain, checkpoints: votes })
  }

  /** The newest proven seq, whose state or a later one is here, becomes stable. */
  #settle(): void {
    const { lastExecuted } = this.#execution
    let newest: StableRecord | null = null
    for (const [seq, record] of this.#proven) {
      if (seq > lastExecuted || this.#taking.has(seq)) continue
      if (seq > (newest?.seq ?? this.#log.lowWaterMark)) newest = record
    }
    this.#forgetProven(lastExecuted)
    // What is here is not that state: it is repaired first.
    if (newest === null || this.#divergence !== null) return
    const { seq } = newest
    this.#stable = newest
    if (this.#taken.get(seq) === stateKey(newest)) this.#repairs = 0
    this.#unsettledStable.push({ at: this.#outbox.persist(newest), seq })
    this.#log.moveTo(seq)
    this.#votes.dropBelow(seq)
    for (const old of this.#proven.keys()) if (old <= seq) this.#proven.delete(old)
    for (const own of this.#own.keys()) if (own < seq && this.#votes.isRegular(own)) this.#own.delete(own)
    this.#outbox.observe({ kind: 'stable', seq })
  }

  /** Of what lies ahead the newest are kept: this replica gets there, or beyond. */
  #forgetProven(lastExecuted: Seq): void {
    const ahead = [...this.#proven.keys()].filter((seq) => seq > lastExecuted).sort((a, b) => b - a)
    for (const seq of ahead.slice(this.#ownMax)) this.#proven.delete(seq)
  }

  /**
   * [CP6] Whether others have another state where this replica has one. That f+1 have the same history and other rows
   * shows that rows were changed here; another history takes a quorum's word, since it replaces what was acknowledged.
   */
  #compare(seq: Seq): void {
    const own = this.#taken.get(seq)
    if (own === undefined || this.#divergence !== null) return
    const proven = seq === this.#stable?.seq ? this.#stable : this.#proven.get(seq)
    const other = proven ?? this.#votes.weakAt(seq)
    if (other === null || stateKey(other) === own) return
    const differs = own.endsWith(`/${other.chain}`) ? 'rows' : 'history'
    if (differs === 'history' && proven === undefined) return
    this.#divergence = { seq, differs }
    this.#repairs += 1
    if (this.#repairs <= REPAIRS_MAX) return
    const detail = `after ${REPAIRS_MAX} repairs this replica's ${differs} at ${seq} differ from a quorum's again`
    this.#outbox.effect({ type: 'halt', fault: { code: 'diverged', seq, detail } })
  }

  /** The database moved on [D4]. What is held at a multiple of K is compared with the others' before it is stable. */
  onExecuted(seq: Seq): void {
    if (this.#votes.isRegular(seq)) this.#taking.add(seq)
    this.#settle()
  }

  /** What was being taken is gone with its connection. */
  onLost(): void {
    this.#taking.clear()
    this.#settle()
  }

  /** [CP4] [CP6] The database holds a state that others signed: what was wrong here is gone. */
  onInstalled(): void {
    for (const [seq, { checkpoint }] of this.#own) {
      if (this.#divergence === null || seq < this.#divergence.seq) continue
      this.#own.delete(seq)
      this.#votes.drop(checkpoint.replica, seq)
    }
    this.#unsettled = this.#unsettled.filter(({ checkpoint }) => this.#own.has(checkpoint.seq))
    this.#taken.clear()
    this.#taking.clear()
    this.#divergence = null
    this.#settle()
  }

  /** What a peer whose low water mark is behind lacks: the stable certificate, and own CHECKPOINTs [CP5]. */
  resend(to: ReplicaId, theirLow: Seq): void {
    const proof = (this.#stable?.seq ?? 0) > theirLow ? this.proof : []
    for (const checkpoint of proof) this.#outbox.send([to], checkpoint)
    for (const { checkpoint, at } of this.#own.values()) {
      const { seq } = checkpoint
      if (seq <= theirLow || !this.#votes.isRegular(seq)) continue
      if (!proof.some((one) => one.replica === this.#config.self && one.seq === seq)) {
        this.#outbox.send([to], checkpoint, at)
      }
    }
  }
}

const lowest = (seqs: Iterable<Seq>): Seq => Math.min(...seqs) as Seq
