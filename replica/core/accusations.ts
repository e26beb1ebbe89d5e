import { evidenceOf, orderStatement } from '../../protocol/evidence.ts'
import type {
  AccountableClaim,
  Checkpoint,
  Commit,
  Committed,
  Evidence,
  Header,
  NewView,
  PrePrepare,
  Prepare,
  Testimony,
  ViewChange,
  Vote,
} from '../../protocol/messages.ts'
import type { Digest, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import { type Checkpoints, checkpointClaim } from './checkpoint.ts'
import { type CoreConfig, peersOf, primaryOf } from './config.ts'
import type { CheckId } from './effect.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import { claimOfHeader, orderedBy } from './ordered-by.ts'
import type { Outbox } from './outbox.ts'

/** What one peer may have verified here between two STATUS ticks. */
const CHECKS_MAX = 4

type Pending =
  | {
      readonly kind: 'evidence'
      readonly evidence: Evidence
      readonly from: ReplicaId
      readonly blamed: boolean
    }
  | { readonly kind: 'vote'; readonly claim: AccountableClaim; readonly from: ReplicaId }

/**
 * [EV3] Compares what replicas signed with what they told this one before, and keeps the first proof against each that
 * signed two statements which contradict each other. Nothing is verified before digests differ.
 */
export class Accusations {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #normalCase: NormalCase
  readonly #checkpoints: Pick<Checkpoints, 'signedBy'>
  readonly #peers: readonly ReplicaId[]
  readonly #kept = new Map<ReplicaId, Evidence>()
  readonly #pending = new Map<CheckId, Pending>()
  /** Of each peer, since the last tick. */
  readonly #checks = new Map<ReplicaId, number>()
  /** Whose differing votes were looked into since the last tick. */
  readonly #asked = new Set<ReplicaId>()

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    log: SlotLog
    normalCase: NormalCase
    checkpoints: Pick<Checkpoints, 'signedBy'>
    /** Verified: what was kept before the restart. */
    evidence: readonly Evidence[]
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#log = args.log
    this.#normalCase = args.normalCase
    this.#checkpoints = args.checkpoints
    this.#peers = peersOf(args.config)
    for (const one of args.evidence) this.#kept.set(one.accused, one)
  }

  /** In order of the accused. */
  get evidence(): readonly Evidence[] {
    return [...this.#kept.values()].sort((a, b) => a.accused - b.accused)
  }

  onTick(): void {
    this.#checks.clear()
    this.#asked.clear()
  }

  onSessionUp(peer: PrincipalId): void {
    const replica = this.#peers.find((id) => id === peer)
    if (replica === undefined) return
    for (const evidence of this.evidence) this.#outbox.send([replica], evidence)
  }

  // --- what passes by

  /** Of the entered view, on its sender's own session. */
  onOrdering(from: PrincipalId, message: PrePrepare | Prepare | Commit): void {
    const { header, signer, type } =
      message.type === 'pre-prepare'
        ? { header: message.header, signer: this.#normalCase.primary, type: message.type }
        : { header: message, signer: message.replica, type: message.type }
    const { view, seq, digest, signature } = header
    if (from !== signer || view !== this.#normalCase.view) return
    const accepted = this.#log.get(seq)?.voting.accepted?.header
    const held = this.#heldAgainst({ signer, view, seq, digest })
    if (held !== null) {
      const statement = orderStatement({ type, view, seq, signer, digest })
      this.#suspect(signer, { held, claim: { statement, signature }, blamed: true })
    } else if (message.type !== 'pre-prepare' && accepted !== undefined && accepted.digest !== digest) {
      this.#onDifferent(message, accepted)
    }
  }

  /**
   * A vote for another batch than the primary proposed here: one of the two lies. The voter is shown what the primary
   * signed here, the others what the voter did.
   */
  #onDifferent({ type, view, seq, digest, replica, signature }: Prepare | Commit, accepted: Header): void {
    const { primary } = this.#normalCase
    // That the primary proposed two batches explains it.
    if (this.#kept.has(primary) || this.#asked.has(replica)) return
    this.#asked.add(replica)
    this.#outbox.send([replica], { type: 'testimony', claim: claimOfHeader(accepted, primary) })
    if (this.#kept.has(replica) || !this.#maySpend(replica)) return
    const claim = { statement: orderStatement({ type, view, seq, signer: replica, digest }), signature }
    this.#pending.set(this.#outbox.verify([claim]), { kind: 'vote', claim, from: replica })
  }

  onCheckpoint(from: PrincipalId, checkpoint: Checkpoint): void {
    const { replica, seq } = checkpoint
    const known = this.#checkpoints.signedBy(replica, seq)
    if (known === undefined) return
    if (known.stateRoot === checkpoint.stateRoot && known.chain === checkpoint.chain) return
    this.#suspect(from, { held: checkpointClaim(known), claim: checkpointClaim(checkpoint), blamed: true })
  }

  /** Its certificates are others' words: whoever brings them need not have verified them. */
  onViewChange(from: PrincipalId, { prepared, checkpoints }: ViewChange): void {
    const { quorum, logWindow } = this.#config
    if (prepared.length > logWindow || checkpoints.length > quorum.n) return
    for (const checkpoint of checkpoints) this.onCheckpoint(from, checkpoint)
    for (const { header, prepares } of prepared) {
      if (prepares.length > quorum.n) return
      const { view, seq, digest } = header
      this.#onHeader(from, header)
      for (const vote of prepares) this.#onVote(from, vote, { type: 'prepare', view, seq, digest })
    }
  }

  onNewView(from: PrincipalId, { view, headers }: NewView): void {
    if (view !== this.#normalCase.view || headers.length > this.#config.logWindow) return
    for (const header of headers) if (header.view === view) this.#onHeader(from, header)
  }

  onCommitted(from: PrincipalId, { view, seq, digest, commits }: Committed): void {
    if (commits.length > this.#config.quorum.n) return
    for (const vote of commits) this.#onVote(from, vote, { type: 'commit', view, seq, digest })
  }

  #onHeader(from: PrincipalId, header: Header): void {
    const { view, seq, digest } = header
    const signer = primaryOf(view, this.#config.quorum)
    const held = this.#heldAgainst({ signer, view, seq, digest })
    if (held !== null) this.#suspect(from, { held, claim: claimOfHeader(header, signer), blamed: false })
  }

  #onVote(
    from: PrincipalId,
    { replica: signer, signature }: Vote,
    of: {
      readonly type: 'prepare' | 'commit'
      readonly view: View
      readonly seq: Seq
      readonly digest: Digest
    },
  ): void {
    const held = this.#heldAgainst({ ...of, signer })
    if (held === null) return
    const statement = orderStatement({ ...of, signer })
    this.#suspect(from, { held, claim: { statement, signature }, blamed: false })
  }

  #heldAgainst(of: {
    readonly signer: ReplicaId
    readonly view: View
    readonly seq: Seq
    readonly digest: Digest
  }): AccountableClaim | null {
    const slot = this.#log.get(of.seq)
    if (slot === undefined) return null
    const isPrimary = of.signer === primaryOf(of.view, this.#config.quorum)
    return orderedBy(slot, { ...of, isPrimary, isCurrent: of.view === this.#normalCase.view })
  }

  // --- what others found

  onTestimony(from: PrincipalId, { claim }: Testimony): void {
    const { type, view, seq, signer, digests } = claim.statement
    const [digest] = digests
    if (signer >= this.#config.quorum.n || type === 'checkpoint' || digest === undefined) {
      return this.#outbox.reject(from, 'out-of-bounds')
    }
    const held = this.#heldAgainst({ signer, view: view as View, seq: seq as Seq, digest })
    if (held !== null) this.#suspect(from, { held, claim, blamed: true })
  }

  onEvidence(from: PrincipalId, evidence: Evidence): void {
    const { accused, claims } = evidence
    const [held, claim] = claims
    if (accused >= this.#config.quorum.n || claim.statement.signer !== accused) {
      return this.#outbox.reject(from, 'out-of-bounds')
    }
    this.#suspect(from, { held, claim, blamed: true })
  }

  // --- verification

  /** At most one piece for each accused, and so many checks for each that brings it: a liar fills nothing. */
  #suspect(
    from: PrincipalId,
    {
      held,
      claim,
      blamed,
    }: { readonly held: AccountableClaim; readonly claim: AccountableClaim; readonly blamed: boolean },
  ): void {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined) return this.#outbox.reject(from, 'unexpected-type')
    const evidence = evidenceOf(held, claim)
    if (evidence === null) return this.#outbox.reject(from, 'out-of-bounds')
    if (this.#kept.has(evidence.accused) || !this.#maySpend(peer)) return
    const check = this.#outbox.verify(evidence.claims)
    this.#pending.set(check, { kind: 'evidence', evidence, from: peer, blamed })
  }

  #maySpend(peer: ReplicaId): boolean {
    const spent = this.#checks.get(peer) ?? 0
    if (spent >= CHECKS_MAX) return false
    this.#checks.set(peer, spent + 1)
    return true
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    const { from } = pending
    const isTrue = valid.every((verdict) => verdict)
    if (pending.kind === 'vote') {
      if (!isTrue) this.#outbox.reject(from, 'bad-signature')
      else this.#tell(from, { type: 'testimony', claim: pending.claim })
    } else if (isTrue) this.#keep(pending.evidence, from)
    else if (pending.blamed) this.#outbox.reject(from, 'bad-signature')
    return true
  }

  #keep(evidence: Evidence, from: ReplicaId): void {
    const { accused } = evidence
    if (this.#kept.has(accused)) return
    this.#kept.set(accused, evidence)
    this.#outbox.effect({ type: 'keep-evidence', evidence })
    this.#outbox.observe({ kind: 'evidence', evidence })
    this.#tell(from, evidence)
  }

  #tell(from: ReplicaId, message: Testimony | Evidence): void {
    this.#outbox.send(
      this.#peers.filter((id) => id !== from),
      message,
    )
  }
}
