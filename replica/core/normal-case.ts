import type { Batch, Commit, Header, PrePrepare, Prepare, Request, Vote } from '../../protocol/messages.ts'
import type { Digest, LogPosition, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { ClientTable } from './client-table.ts'
import { type CoreConfig, type CoreCrypto, peersOf, primaryOf } from './config.ts'
import type { CheckId, Claim, RejectionCode } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import type { Accepted, Slot } from './slot.ts'

type Pending =
  | { readonly kind: 'pre-prepare'; readonly message: PrePrepare; readonly from: PrincipalId }
  | {
      readonly kind: 'prepares'
      readonly seq: Seq
      readonly votes: readonly (Vote & { readonly digest: Digest })[]
    }

export const requestClaim = (request: Request): Claim => ({
  statement: { type: 'request', view: 0, seq: 0, signer: request.client, digests: [request.digest] },
  signature: request.signature,
})

/** PRE-PREPARE, PREPARE and COMMIT of one view: from a proposed batch to a committed one (paper, section 4.2). */
export class NormalCase {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #table: ClientTable
  readonly #execution: Execution
  readonly #peers: readonly ReplicaId[]
  readonly #pending = new Map<CheckId, Pending>()
  /** Own COMMITs that count once their prepared record is durable, oldest first. */
  #ownCommits: { readonly at: LogPosition; readonly seq: Seq }[] = []
  readonly view: View

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    table: ClientTable
    execution: Execution
    view: View
  }) {
    this.#config = args.config
    this.#crypto = args.crypto
    this.#outbox = args.outbox
    this.#log = args.log
    this.#table = args.table
    this.#execution = args.execution
    this.view = args.view
    this.#peers = peersOf(args.config)
  }

  get primary(): ReplicaId {
    return primaryOf(this.view, this.#config.quorum)
  }

  get isPrimary(): boolean {
    return this.primary === this.#config.self
  }

  /** As the primary: orders `batch` at `seq`, which must be in the window and unused. */
  propose(seq: Seq, batch: Batch): void {
    const header: Header = {
      view: this.view,
      seq,
      digest: batch.digest,
      signature: this.#sign('pre-prepare', seq, batch.digest),
    }
    const slot = this.#log.at(seq)
    const { at } = this.#accept(slot, { header, batch })
    this.#outbox.send(this.#peers, { type: 'pre-prepare', header, batch }, at)
    this.#checkPrepares(slot)
  }

  #sign(type: 'pre-prepare' | 'prepare' | 'commit', seq: Seq, digest: Digest): Uint8Array {
    return this.#crypto.sign({ type, view: this.view, seq, signer: this.#config.self, digests: [digest] })
  }

  /** [NC3] */
  onPrePrepare(from: PrincipalId, message: PrePrepare): void {
    const { header, batch } = message
    const refusal = this.#refusal(from, message)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    const slot = this.#log.at(header.seq)
    const known = slot.accepted?.header.digest ?? slot.checking
    // [VC6] A mere PRE-PREPARE does not undo what catch-up showed to be committed.
    if ((known ?? slot.committed?.digest ?? header.digest) !== header.digest) {
      return this.#outbox.reject(from, 'conflicting')
    }
    if (known !== null) return
    slot.checking = header.digest
    const unseen = batch.requests.filter((request) => !this.#table.hasVerified(request))
    const { view, seq, digest, signature } = header
    const check = this.#outbox.verify([
      { statement: { type: 'pre-prepare', view, seq, signer: this.primary, digests: [digest] }, signature },
      ...unseen.map(requestClaim),
    ])
    this.#pending.set(check, { kind: 'pre-prepare', message, from })
  }

  #refusal(from: PrincipalId, { header, batch }: PrePrepare): RejectionCode | null {
    if (header.view !== this.view) return 'other-view'
    if (from !== this.primary || this.isPrimary) return 'not-primary'
    if (!this.#log.contains(header.seq)) return 'outside-window'
    if (batch.digest !== header.digest) return 'wrong-digest'
    return this.#batchRefusal(batch)
  }

  #batchRefusal({ requests }: Batch): RejectionCode | null {
    let operations = 0
    let bytes = 0
    for (const request of requests) {
      const refusal = requestRefusal(request, this.#config)
      if (refusal !== null) return refusal
      operations += request.operations.length
      bytes += request.body.length
    }
    const { batchOperationsMax, batchBytesMax } = this.#config
    // A single request may be as large as a request may be.
    if (requests.length > 1 && (operations > batchOperationsMax || bytes > batchBytesMax))
      return 'out-of-bounds'
    return null
  }

  #accept(slot: Slot, { header, batch }: Omit<Accepted, 'at'>): Accepted {
    const at = this.#outbox.persist({ kind: 'pre-prepare', header, batch })
    slot.accepted = { header, batch, at }
    slot.checking = null
    this.#table.ordered(batch.requests)
    this.#outbox.observe({ kind: 'accepted', seq: slot.seq, digest: header.digest })
    return slot.accepted
  }

  #onPrePrepareVerified({ message, from }: Extract<Pending, { kind: 'pre-prepare' }>, valid: boolean): void {
    const { seq, digest } = message.header
    const slot = this.#log.get(seq)
    if (slot === undefined || slot.checking !== digest) return
    if (!valid) {
      slot.checking = null
      return this.#outbox.reject(from, 'bad-signature')
    }
    // [VC6] Catch-up may have shown meanwhile that another batch is committed.
    if ((slot.committed?.digest ?? digest) !== digest) {
      slot.checking = null
      return this.#outbox.reject(from, 'conflicting')
    }
    const { at } = this.#accept(slot, message)
    this.#outbox.send(this.#peers, this.#prepare(slot, digest), at)
    this.#checkPrepares(slot)
    this.#checkCommitted(slot)
  }

  /** This replica's PREPARE, counted in its own certificate. Ed25519 gives the same bytes again after a restart. */
  #prepare(slot: Slot, digest: Digest): Prepare {
    const { seq } = slot
    const replica = this.#config.self
    const vote: Prepare = {
      type: 'prepare',
      view: this.view,
      seq,
      digest,
      replica,
      signature: this.#sign('prepare', seq, digest),
    }
    slot.ownPrepare = vote
    slot.prepares.add(vote)
    return vote
  }

  #commit(slot: Slot, digest: Digest): Commit {
    const { seq } = slot
    const replica = this.#config.self
    const vote: Commit = {
      type: 'commit',
      view: this.view,
      seq,
      digest,
      replica,
      signature: this.#sign('commit', seq, digest),
    }
    slot.ownCommit = vote
    return vote
  }

  onPrepare(from: PrincipalId, message: Prepare): void {
    const refusal = this.#voteRefusal(from, message) ?? (from === this.primary ? 'not-own-vote' : null)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    const slot = this.#log.at(message.seq)
    if (slot.preparedAt !== null || slot.prepares.has(message.replica) || slot.verifying.has(message.replica))
      return
    const { replica, digest, signature } = message
    slot.staged.set(replica, { replica, digest, signature })
    this.#checkPrepares(slot)
  }

  onCommit(from: PrincipalId, message: Commit): void {
    const refusal = this.#voteRefusal(from, message)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    const slot = this.#log.at(message.seq)
    const { replica, digest, signature } = message
    if (slot.commits.add({ replica, digest, signature })) this.#checkCommitted(slot)
  }

  #voteRefusal(from: PrincipalId, message: Prepare | Commit): RejectionCode | null {
    if (message.view !== this.view) return 'other-view'
    if (from !== message.replica || from === this.#config.self) return 'not-own-vote'
    if (!this.#log.contains(message.seq)) return 'outside-window'
    return null
  }

  /** [AU2] Verifies as many staged PREPAREs as are missing, and no more; [NC4] prepared with q-1 of them. */
  #checkPrepares(slot: Slot): void {
    if (slot.accepted === null || slot.preparedAt !== null) return
    const { digest } = slot.accepted.header
    const missing = this.#config.quorum.quorum - 1 - slot.prepares.count(digest)
    if (missing <= 0) return this.#prepared(slot, slot.accepted.header)
    const candidates = [...slot.staged.values()].filter((vote) => vote.digest === digest)
    const wanted = missing - slot.verifying.size
    if (wanted <= 0 || candidates.length < wanted) return
    const votes = candidates.slice(0, wanted)
    for (const vote of votes) {
      slot.staged.delete(vote.replica)
      slot.verifying.add(vote.replica)
    }
    const claims = votes.map(({ replica, signature }) => ({
      statement: {
        type: 'prepare' as const,
        view: this.view,
        seq: slot.seq,
        signer: replica,
        digests: [digest],
      },
      signature,
    }))
    this.#pending.set(this.#outbox.verify(claims), { kind: 'prepares', seq: slot.seq, votes })
  }

  #onPreparesVerified(
    { seq, votes }: Extract<Pending, { kind: 'prepares' }>,
    valid: readonly boolean[],
  ): void {
    const slot = this.#log.get(seq)
    if (slot === undefined) return
    votes.forEach((vote, index) => {
      slot.verifying.delete(vote.replica)
      if (valid[index] === true) slot.prepares.add(vote)
      else this.#outbox.reject(vote.replica, 'bad-signature')
    })
    this.#checkPrepares(slot)
  }

  /** [D1] The certificate is durable before the COMMIT that says so. */
  #prepared(slot: Slot, header: Header): void {
    const { digest } = header
    const prepares = slot.prepares.votesFor(digest, this.#config.quorum.quorum - 1)
    const at = this.#outbox.persist({ kind: 'prepared', header, prepares })
    slot.preparedAt = at
    slot.staged.clear()
    this.#outbox.observe({ kind: 'prepared', seq: slot.seq, digest })
    this.#ownCommits.push({ at, seq: slot.seq })
    this.#outbox.send(this.#peers, this.#commit(slot, digest), at)
  }

  /** An own COMMIT counts here when it counts elsewhere: once the prepared record is durable. */
  onPersisted(): void {
    const { durable } = this.#outbox
    let done = 0
    for (const { at, seq } of this.#ownCommits) {
      if (at > durable) break
      done += 1
      const slot = this.#log.get(seq)
      if (slot === undefined || slot.ownCommit === null) continue
      if (slot.commits.add(slot.ownCommit)) this.#checkCommitted(slot)
    }
    if (done > 0) this.#ownCommits = this.#ownCommits.slice(done)
  }

  /** [NC4] committed = body + q COMMITs of one view, prepared here or not. */
  #checkCommitted(slot: Slot): void {
    if (slot.committed !== null || slot.accepted === null) return
    const { header, batch } = slot.accepted
    const digest = slot.commits.agreed(this.#config.quorum.quorum)
    if (digest !== header.digest) return
    const { view } = this
    const { seq } = slot
    const commits = slot.commits.votesFor(digest, this.#config.quorum.quorum)
    const at = this.#outbox.persist(
      { kind: 'committed', seq, view, digest, commits },
      { awaited: slot.preparedAt === null },
    )
    slot.committed = { view, digest }
    this.#outbox.observe({ kind: 'committed', seq, digest, how: 'votes' })
    this.#execution.commit(seq, { batch, at: slot.preparedAt ?? at })
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    switch (pending.kind) {
      case 'pre-prepare':
        this.#onPrePrepareVerified(
          pending,
          valid.every((verdict) => verdict),
        )
        break
      case 'prepares':
        this.#onPreparesVerified(pending, valid)
        break
    }
    return true
  }

  /** What the vote log says of a slot [D1]: its votes count, and can be sent again. */
  restoreAccepted(slot: Slot, { header, batch }: Omit<Accepted, 'at'>): void {
    slot.accepted = { header, batch, at: 0 as LogPosition }
    this.#table.ordered(batch.requests)
    if (!this.isPrimary) this.#prepare(slot, header.digest)
  }

  restorePrepared(
    slot: Slot,
    { header, prepares }: { readonly header: Header; readonly prepares: readonly Vote[] },
  ): void {
    const { digest } = header
    for (const vote of prepares) slot.prepares.add({ ...vote, digest })
    slot.preparedAt = 0 as LogPosition
    slot.commits.add(this.#commit(slot, digest))
  }

  /** Own votes for `slot` that a peer lacks, by what its STATUS shows [CP5]. */
  resend(to: ReplicaId, slot: Slot, lacks: { readonly accepted: boolean; readonly prepared: boolean }): void {
    if (slot.accepted === null) return
    const { header, batch, at } = slot.accepted
    if (this.isPrimary && lacks.accepted) this.#outbox.send([to], { type: 'pre-prepare', header, batch }, at)
    if (slot.ownPrepare !== null && lacks.prepared) this.#outbox.send([to], slot.ownPrepare, at)
    if (slot.ownCommit !== null && slot.preparedAt !== null) {
      this.#outbox.send([to], slot.ownCommit, slot.preparedAt)
    }
  }
}

/** What no correct client sends; the same verdict at every replica, since it comes from genesis alone. */
export function requestRefusal(request: Request, config: CoreConfig): RejectionCode | null {
  if (!config.isAdmitted(request.client)) return 'not-admitted'
  if (request.lane >= config.lanesPerClientMax) return 'out-of-bounds'
  if (request.operations.length > config.requestOperationsMax) return 'out-of-bounds'
  return request.body.length > config.requestBytesMax ? 'out-of-bounds' : null
}
