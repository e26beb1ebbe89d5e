import type { Batch, Commit, Header, PrePrepare, Prepare, Request, Vote } from '../../protocol/messages.ts'
import type { Digest, LogPosition, PrincipalId, ReplicaId, Seq, View } from '../../protocol/types.ts'
import type { Allowances } from './allowance.ts'
import type { ClientTable } from './client-table.ts'
import { type CoreConfig, type CoreCrypto, peersOf, primaryOf } from './config.ts'
import type { CheckId, RejectionCode } from './effect.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import { OwnVotes } from './own-votes.ts'
import type { PrimaryWatch } from './primary-watch.ts'
import { batchRefusal, isFull, requestClaim } from './request-rules.ts'
import type { Accepted, Slot } from './slot.ts'
import type { ViewTimer } from './view-timer.ts'

type Pending =
  | { readonly kind: 'pre-prepare'; readonly message: PrePrepare; readonly from: PrincipalId }
  | {
      readonly kind: 'prepares'
      readonly view: View
      readonly seq: Seq
      readonly votes: readonly (Vote & { readonly digest: Digest })[]
    }

type Unverified<K extends Pending['kind']> = Extract<Pending, { kind: K }>

/** What a new view puts into the slots [VC2]. */
export type Reordered = {
  readonly view: View
  readonly headers: readonly Header[]
  /** Every seq up to here was decided by the NEW-VIEW or before it: no PRE-PREPARE of this view may differ. */
  readonly upTo: Seq
  /** Where the NEW-VIEW's record is. */
  readonly at: LogPosition
}

/** PRE-PREPARE, PREPARE and COMMIT of one view: from a proposed batch to a committed one (paper, section 4.2). */
export class NormalCase {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #own: OwnVotes
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #table: ClientTable
  readonly #execution: Execution
  readonly #timer: ViewTimer
  readonly #watch: PrimaryWatch
  readonly #allowances: Allowances
  readonly #peers: readonly ReplicaId[]
  readonly #pending = new Map<CheckId, Pending>()
  /** Own COMMITs that count once their prepared record is durable, oldest first. */
  #ownCommits: { readonly at: LogPosition; readonly slot: Slot; readonly vote: Commit }[] = []
  #view: View
  #headers = new Map<Seq, Header>()
  #orderedUpTo: Seq
  /** Where the NEW-VIEW of this view is in the vote log. */
  #enteredAt = 0 as LogPosition
  /** False from an own VIEW-CHANGE until the next view is entered [VC3], and while this replica is amnesiac [D5]. */
  mayVote: boolean

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    table: ClientTable
    execution: Execution
    timer: ViewTimer
    watch: PrimaryWatch
    allowances: Allowances
    view: View
    orderedUpTo: Seq
    mayVote: boolean
  }) {
    this.#config = args.config
    this.#crypto = args.crypto
    this.#own = new OwnVotes(args)
    this.#outbox = args.outbox
    this.#log = args.log
    this.#table = args.table
    this.#execution = args.execution
    this.#timer = args.timer
    this.#watch = args.watch
    this.#allowances = args.allowances
    this.#view = args.view
    this.#orderedUpTo = args.orderedUpTo
    this.mayVote = args.mayVote
    this.#peers = peersOf(args.config)
  }

  /** The view that was entered last. */
  get view(): View {
    return this.#view
  }

  get primary(): ReplicaId {
    return primaryOf(this.#view, this.#config.quorum)
  }

  get isPrimary(): boolean {
    return this.primary === this.#config.self
  }

  /** Whether this replica may order batches now. */
  get isProposing(): boolean {
    return this.isPrimary && this.mayVote
  }

  /** The highest seq that this view's NEW-VIEW decided. */
  get orderedUpTo(): Seq {
    return this.#orderedUpTo
  }

  // --- entering a view

  /** [VC2] [VC6] Every slot above h is voted on again; what was executed is not executed again. */
  enterView({ view, headers, upTo, at }: Reordered): void {
    this.#view = view
    this.#headers = new Map(headers.map((header) => [header.seq, header]))
    this.#orderedUpTo = upTo
    this.#enteredAt = at
    this.#ownCommits = []
    const orphans: Request[] = []
    for (const slot of this.#log.all()) {
      const header = this.#headers.get(slot.seq) ?? null
      const { accepted } = slot.voting
      const placed = slot.committed?.digest ?? header?.digest
      if (accepted !== null && accepted.batch.digest !== placed) orphans.push(...accepted.batch.requests)
      slot.enterView(header)
    }
    this.#table.unorder()
    this.#table.giveBack(orphans)
    this.takeOrdered()
  }

  /** `seq` was executed: as another batch, perhaps, than the one that this replica had accepted. */
  onExecuted(seq: Seq): void {
    const slot = this.#log.get(seq)
    const batch = slot?.voting.accepted?.batch
    if (slot !== undefined && batch !== undefined && slot.committed?.digest !== batch.digest) {
      this.#table.giveBack(batch.requests)
    }
  }

  /** [CP4] A state was installed: the same for all that it skipped. */
  onInstalled(lastExecuted: Seq): void {
    for (const { seq } of this.#log.all()) if (seq <= lastExecuted) this.onExecuted(seq)
  }

  /** O's entries in the window, which may lie above what this replica's h admitted when it entered the view. */
  takeOrdered(): void {
    for (const [seq, header] of this.#headers) {
      if (seq > this.#log.highWaterMark) continue
      this.#headers.delete(seq)
      if (seq <= this.#log.lowWaterMark) continue
      const slot = this.#log.at(seq)
      slot.voting.expected = header
      if (this.#contradicts(slot, header)) return
      const body = this.knownBody(slot, header.digest)
      if (body !== undefined) this.#acceptOrdered(slot, { header, batch: body, at: this.#enteredAt })
    }
  }

  /** [VC6] A verified O with another batch for a committed seq: more than f replicas lie, or this one is wrong. */
  #contradicts({ committed, seq }: Slot, { digest, view }: Header): boolean {
    if (committed === null || committed.digest === digest) return false
    const detail = `committed as ${committed.digest} here, and ordered as ${digest} by the NEW-VIEW of view ${view}`
    this.#outbox.effect({ type: 'halt', fault: { code: 'conflicting-commit', seq, detail } })
    return true
  }

  /** Null batches are known everywhere. */
  knownBody(slot: Slot, digest: Digest): Batch | undefined {
    const nullDigest = this.#crypto.batchDigest([])
    return digest === nullDigest ? { digest, requests: [] } : slot.body(digest)
  }

  /** [VC5] Slots whose batch O names and this replica lacks. */
  *missingBodies(): Generator<Header> {
    for (const { voting } of this.#log.all()) {
      if (voting.expected !== null && voting.accepted === null) yield voting.expected
    }
  }

  /** [AU3] A batch that a verified O names is taken on its certificate. */
  onBody(seq: Seq, batch: Batch): boolean {
    const slot = this.#log.get(seq)
    const header = slot?.voting.expected
    if (slot === undefined || header == null || slot.voting.accepted !== null) return false
    if (header.digest !== batch.digest) return false
    const at = this.#outbox.persist({ kind: 'batch', seq, batch }, { awaited: true })
    this.#acceptOrdered(slot, { header, batch, at })
    return true
  }

  #acceptOrdered(slot: Slot, accepted: Accepted): void {
    slot.keepBody(accepted.batch)
    slot.voting.accepted = accepted
    this.#table.ordered(accepted.batch.requests, slot.seq)
    this.#outbox.observe({ kind: 'accepted', seq: slot.seq, digest: accepted.header.digest })
    this.#vote(slot, accepted)
  }

  /** After accepting: a backup's PREPARE, and what the votes that came before now amount to. */
  #vote(slot: Slot, { header, at }: Accepted): void {
    if (this.mayVote && !this.isPrimary) {
      this.#outbox.send(this.#peers, this.#own.prepare(slot, { view: this.#view, digest: header.digest }), at)
    }
    this.#checkPrepares(slot)
    this.#checkCommitted(slot)
  }

  /** [D5] What an amnesiac had only noted it now votes on. */
  voteAgain(): void {
    for (const slot of this.#log.all()) {
      const { accepted, ownPrepare } = slot.voting
      if (accepted !== null && ownPrepare === null) this.#vote(slot, accepted)
    }
  }

  // --- ordering

  /** As the primary: orders `batch` at `seq`, which must be in the window and unused. */
  propose(seq: Seq, batch: Batch): void {
    const header = this.#own.header({ view: this.#view, seq, digest: batch.digest })
    const slot = this.#log.at(seq)
    const { at } = this.#accept(slot, { header, batch })
    this.#outbox.send(this.#peers, { type: 'pre-prepare', header, batch }, at)
    this.#checkPrepares(slot)
  }

  /** [NC3] */
  onPrePrepare(from: PrincipalId, message: PrePrepare): void {
    const { header, batch } = message
    const refusal = this.#refusal(from, message)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    const slot = this.#log.at(header.seq)
    const { voting } = slot
    if (voting.expected?.digest === header.digest) {
      this.onBody(header.seq, batch)
      return
    }
    const known = voting.accepted?.header.digest ?? voting.checking
    if (known === header.digest) return
    if (known !== null || !this.#isOpen(slot, header)) return this.#outbox.reject(from, 'conflicting')
    voting.checking = header.digest
    const unseen = batch.requests.filter((request) => !this.#table.hasVerified(request))
    const { view, seq, digest, signature } = header
    const check = this.#outbox.verify([
      { statement: { type: 'pre-prepare', view, seq, signer: this.primary, digests: [digest] }, signature },
      ...unseen.map(requestClaim),
    ])
    this.#pending.set(check, { kind: 'pre-prepare', message, from })
  }

  /** [VC2] [VC6] A mere PRE-PREPARE undoes neither what the NEW-VIEW ordered nor what is committed or executed. */
  #isOpen({ committed, seq }: Slot, { digest }: Header): boolean {
    if (seq <= this.#orderedUpTo) return false
    return committed === null ? seq > this.#execution.lastExecuted : committed.digest === digest
  }

  #refusal(from: PrincipalId, { header, batch }: PrePrepare): RejectionCode | null {
    if (header.view !== this.#view) return 'other-view'
    if (!this.mayVote) return 'superseded-view'
    if (from !== this.primary || this.isPrimary) return 'not-primary'
    if (!this.#log.contains(header.seq)) return 'outside-window'
    if (!this.#allowances.has(from)) return 'rate-limited'
    if (batch.digest !== header.digest) return 'wrong-digest'
    // [VC6] A batch of a verified O was bounded by those who prepared it.
    const expected = this.#log.get(header.seq)?.voting.expected
    return expected?.digest === header.digest ? null : batchRefusal(batch, this.#config)
  }

  #accept(slot: Slot, { header, batch }: Omit<Accepted, 'at'>): Accepted {
    const at = this.#outbox.persist({ kind: 'pre-prepare', header, batch })
    slot.keepBody(batch)
    slot.voting.accepted = { header, batch, at }
    slot.voting.checking = null
    this.#table.ordered(batch.requests, slot.seq)
    this.#outbox.observe({ kind: 'accepted', seq: slot.seq, digest: header.digest })
    return slot.voting.accepted
  }

  #onPrePrepareVerified({ message, from }: Unverified<'pre-prepare'>, valid: readonly boolean[]): void {
    const { view, seq, digest } = message.header
    const isValid = valid.every((verdict) => verdict)
    if (!isValid) this.#allowances.spend(from, valid.length)
    const slot = this.#log.get(seq)
    if (slot === undefined || view !== this.#view || slot.voting.checking !== digest) return
    if (!isValid) {
      slot.voting.checking = null
      return this.#outbox.reject(from, 'bad-signature')
    }
    // [VC6] Catch-up may have shown meanwhile that another batch is committed.
    if (!this.mayVote || (slot.committed?.digest ?? digest) !== digest) {
      slot.voting.checking = null
      return this.#outbox.reject(from, 'conflicting')
    }
    const accepted = this.#accept(slot, message)
    this.#watch.onAccepted(seq, { isFull: isFull(message.batch, this.#config) })
    this.#vote(slot, accepted)
  }

  // --- votes

  onPrepare(from: PrincipalId, message: Prepare): void {
    const refusal = this.#voteRefusal(from, message) ?? (from === this.primary ? 'not-own-vote' : null)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    const slot = this.#log.at(message.seq)
    const { voting } = slot
    const { replica, digest, signature } = message
    if (voting.preparedAt !== null || voting.prepares.has(replica) || voting.verifying.has(replica)) return
    voting.staged.set(replica, { replica, digest, signature })
    this.#checkPrepares(slot)
  }

  onCommit(from: PrincipalId, message: Commit): void {
    const refusal = this.#voteRefusal(from, message)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    const slot = this.#log.at(message.seq)
    const { replica, digest, signature } = message
    if (slot.voting.commits.add({ replica, digest, signature })) this.#checkCommitted(slot)
  }

  #voteRefusal(from: PrincipalId, message: Prepare | Commit): RejectionCode | null {
    if (message.view !== this.#view) return 'other-view'
    if (!this.mayVote) return 'superseded-view'
    if (from !== message.replica || from === this.#config.self) return 'not-own-vote'
    if (message.type === 'prepare' && !this.#allowances.has(from)) return 'rate-limited'
    if (!this.#log.contains(message.seq)) return 'outside-window'
    return null
  }

  /** [AU2] Verifies as many staged PREPAREs as are missing, and no more; [NC4] prepared with q-1 of them. */
  #checkPrepares(slot: Slot): void {
    const { voting, seq } = slot
    if (!this.mayVote || voting.accepted === null || voting.preparedAt !== null) return
    const { digest } = voting.accepted.header
    const missing = this.#config.quorum.quorum - 1 - voting.prepares.count(digest)
    if (missing <= 0) return this.#prepared(slot, voting.accepted.header)
    const candidates = [...voting.staged.values()].filter((vote) => vote.digest === digest)
    const wanted = missing - voting.verifying.size
    if (wanted <= 0 || candidates.length < wanted) return
    const votes = candidates.slice(0, wanted)
    for (const vote of votes) {
      voting.staged.delete(vote.replica)
      voting.verifying.add(vote.replica)
    }
    const view = this.#view
    const claims = votes.map(({ replica, signature }) => ({
      statement: { type: 'prepare' as const, view, seq, signer: replica, digests: [digest] },
      signature,
    }))
    this.#pending.set(this.#outbox.verify(claims), { kind: 'prepares', view, seq, votes })
  }

  #onPreparesVerified({ view, seq, votes }: Unverified<'prepares'>, valid: readonly boolean[]): void {
    const bad = votes.filter((_, index) => valid[index] !== true)
    for (const { replica } of bad) {
      this.#allowances.spend(replica, 1)
      this.#outbox.reject(replica, 'bad-signature')
    }
    const slot = this.#log.get(seq)
    if (slot === undefined || view !== this.#view) return
    for (const vote of votes) {
      slot.voting.verifying.delete(vote.replica)
      if (!bad.includes(vote)) slot.voting.prepares.add(vote)
    }
    this.#checkPrepares(slot)
  }

  /** [D1] The certificate is durable before the COMMIT that says so. [VC1] It replaces one of a lower view. */
  #prepared(slot: Slot, header: Header): void {
    const { digest } = header
    const prepares = slot.voting.prepares.votesFor(digest, this.#config.quorum.quorum - 1)
    const at = this.#outbox.persist({ kind: 'prepared', header, prepares })
    slot.certificate = { header, prepares }
    slot.voting.preparedAt = at
    slot.voting.staged.clear()
    this.#outbox.observe({ kind: 'prepared', seq: slot.seq, digest })
    const vote = this.#own.commit(slot, { view: this.#view, digest })
    this.#ownCommits.push({ at, slot, vote })
    this.#outbox.send(this.#peers, vote, at)
  }

  /** [NC4] An own COMMIT counts here when it counts elsewhere: once the prepared record is durable. */
  onPersisted(): void {
    const { durable } = this.#outbox
    let done = 0
    for (const { at, slot, vote } of this.#ownCommits) {
      if (at > durable) break
      done += 1
      if (this.#log.get(slot.seq) === slot && slot.voting.commits.add(vote)) this.#checkCommitted(slot)
    }
    if (done > 0) this.#ownCommits = this.#ownCommits.slice(done)
  }

  /** [NC4] committed = body + q COMMITs of one view, prepared here or not. */
  #checkCommitted(slot: Slot): void {
    const { voting, seq } = slot
    if (slot.committed !== null || voting.accepted === null) return
    const { header, batch } = voting.accepted
    const digest = voting.commits.agreed(this.#config.quorum.quorum)
    if (digest !== header.digest) return
    const view = this.#view
    const commits = voting.commits.votesFor(digest, this.#config.quorum.quorum)
    const at = this.#outbox.persist(
      { kind: 'committed', seq, view, digest, commits },
      { awaited: voting.preparedAt === null },
    )
    slot.committed = { view, digest }
    if (batch.requests.length > 0) this.#timer.onProgress()
    this.#watch.onCommitted(seq)
    this.#outbox.observe({ kind: 'committed', seq, digest, how: 'votes' })
    this.#execution.commit(seq, { batch, at: voting.preparedAt ?? at })
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const pending = this.#pending.get(check)
    if (pending === undefined) return false
    this.#pending.delete(check)
    switch (pending.kind) {
      case 'pre-prepare':
        this.#onPrePrepareVerified(pending, valid)
        break
      case 'prepares':
        this.#onPreparesVerified(pending, valid)
        break
    }
    return true
  }

  // --- after a restart, and for those who lack votes

  /** What the vote log says of a slot in the view it was in [D1]: its votes count, and can be sent again. */
  restoreAccepted(slot: Slot, { header, batch }: Omit<Accepted, 'at'>): void {
    slot.voting.accepted = { header, batch, at: 0 as LogPosition }
    this.#table.ordered(batch.requests, slot.seq)
    if (this.mayVote && !this.isPrimary) this.#own.prepare(slot, { view: this.#view, digest: header.digest })
  }

  restorePrepared(
    slot: Slot,
    { header, prepares }: { readonly header: Header; readonly prepares: readonly Vote[] },
  ): void {
    const { digest } = header
    for (const vote of prepares) slot.voting.prepares.add({ ...vote, digest })
    slot.voting.preparedAt = 0 as LogPosition
    if (this.mayVote) slot.voting.commits.add(this.#own.commit(slot, { view: this.#view, digest }))
  }

  /** O of the view that the log was in: what it decided stands, and entries without a body wait for it as before. */
  restoreOrdered(headers: readonly Header[]): void {
    for (const header of headers) {
      if (header.seq > this.#log.highWaterMark) this.#headers.set(header.seq, header)
      if (!this.#log.contains(header.seq)) continue
      const slot = this.#log.at(header.seq)
      slot.voting.expected = header
      const batch = this.knownBody(slot, header.digest)
      if (batch !== undefined) this.restoreAccepted(slot, { header, batch })
    }
  }

  /** Own votes for `slot` that a peer lacks, by what its STATUS shows [CP5]. */
  resend(to: ReplicaId, slot: Slot, lacks: { readonly accepted: boolean; readonly prepared: boolean }): void {
    const { accepted, ownPrepare, ownCommit, preparedAt } = slot.voting
    if (accepted === null || !this.mayVote) return
    const { header, batch, at } = accepted
    if (this.isPrimary && lacks.accepted) this.#outbox.send([to], { type: 'pre-prepare', header, batch }, at)
    if (ownPrepare !== null && lacks.prepared) this.#outbox.send([to], ownPrepare, at)
    if (ownCommit !== null && preparedAt !== null) this.#outbox.send([to], ownCommit, preparedAt)
  }
}
