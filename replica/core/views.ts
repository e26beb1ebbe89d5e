import type { Header, NewView, PreparedCertificate, Status, ViewChange } from '../../protocol/messages.ts'
import type { LogPosition, PrincipalId, ReplicaId, View } from '../../protocol/types.ts'
import type { Amnesia } from './amnesia.ts'
import type { Batcher } from './batcher.ts'
import type { Bodies } from './bodies.ts'
import type { Checkpoints } from './checkpoint.ts'
import { type CoreConfig, type CoreCrypto, peersOf, primaryOf } from './config.ts'
import type { CheckId, Claim } from './effect.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { OrderDecision } from './order-decision.ts'
import type { Outbox } from './outbox.ts'
import type { PrimaryWatch } from './primary-watch.ts'
import type { ViewChanges } from './view-changes.ts'
import { digestOfEntry, maxSeqOf, type Order } from './view-order.ts'
import type { ViewTimer } from './view-timer.ts'

/** A verified NEW-VIEW with the VIEW-CHANGEs that it names: handed on to whoever is behind. */
export type EnteredView = { readonly message: NewView; readonly viewChanges: readonly ViewChange[] }

/** What the vote log says of views [D1]. */
export type LoggedViews = {
  readonly viewChange: ViewChange | null
  readonly newView: EnteredView | null
}

/** A NEW-VIEW for which this peer had to be sent VIEW-CHANGEs is sent again no sooner than so many STATUS ticks later. */
const HAND_ON_TICKS = 2

/** [VC1] to [VC5]: gives views up, agrees on what a new one starts from, and enters it. */
export class Views {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #normalCase: NormalCase
  readonly #batcher: Batcher
  readonly #bodies: Bodies
  readonly #checkpoints: Checkpoints
  readonly #viewChanges: ViewChanges
  readonly #decision: OrderDecision
  readonly #timer: ViewTimer
  readonly #watch: PrimaryWatch
  readonly #amnesia: Amnesia
  readonly #peers: readonly ReplicaId[]
  /** The view that this replica sent a VIEW-CHANGE for and has not entered. */
  #pending: View | null
  #entered: EnteredView | null
  /** Where the records of the own VIEW-CHANGE and of the entered NEW-VIEW are: neither is shown before [D1]. */
  #pendingAt = 0 as LogPosition
  #enteredAt = 0 as LogPosition
  /** Signed NEW-VIEWs whose VIEW-CHANGEs are not all here, or whose O is being decided: the newest of each primary. */
  readonly #candidates = new Map<ReplicaId, NewView>()
  /** Being decided or verified. */
  #underCheck: NewView | null = null
  /** As the new primary: the view whose O is being decided. */
  #making: View | null = null
  readonly #pendingChecks = new Map<CheckId, (valid: readonly boolean[]) => void>()
  /** When each peer was last sent a NEW-VIEW, on the step's clock. */
  readonly #handedOnMs = new Map<ReplicaId, number>()

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    normalCase: NormalCase
    batcher: Batcher
    bodies: Bodies
    checkpoints: Checkpoints
    viewChanges: ViewChanges
    decision: OrderDecision
    timer: ViewTimer
    watch: PrimaryWatch
    amnesia: Amnesia
    logged: LoggedViews
  }) {
    this.#config = args.config
    this.#crypto = args.crypto
    this.#outbox = args.outbox
    this.#log = args.log
    this.#normalCase = args.normalCase
    this.#batcher = args.batcher
    this.#bodies = args.bodies
    this.#checkpoints = args.checkpoints
    this.#viewChanges = args.viewChanges
    this.#decision = args.decision
    this.#timer = args.timer
    this.#watch = args.watch
    this.#amnesia = args.amnesia
    this.#peers = peersOf(args.config)
    const { viewChange, newView } = args.logged
    this.#entered = newView
    this.#pending = pendingOf(args.logged)
    if (viewChange !== null && this.#pending !== null) {
      this.#viewChanges.addOwn(viewChange)
      this.#decision.trust(viewChange.prepared)
    }
  }

  /** The view that was entered last; 0 needs no NEW-VIEW. */
  get view(): View {
    return this.#normalCase.view
  }

  get pending(): View | null {
    return this.#pending
  }

  get isPending(): boolean {
    return this.#pending !== null
  }

  /** [D5] */
  get isVoting(): boolean {
    return this.#amnesia.isVoting
  }

  /** No vote leaves this replica for a lower view [VC3]. */
  get highestViewChange(): View {
    return this.#pending ?? this.view
  }

  get viewChangesHere(): readonly ReplicaId[] {
    return this.#viewChanges.sendersFor(this.highestViewChange)
  }

  /** [VC4] Whether so many want the pending view, or a higher one, that its primary has to answer. */
  get isNewViewDue(): boolean {
    if (this.#pending === null) return false
    const others = this.#viewChanges.viewsAbove((this.#pending - 1) as View)
    return others.length >= this.#config.quorum.quorum
  }

  /** Another replica wants a view above this one. */
  get isGivenUp(): boolean {
    return this.#viewChanges.viewsAbove(this.view).length > 0
  }

  // --- giving a view up

  /** [NC8] [VC4] T is over: the primary of the view, entered or pending, did not do its part. */
  onTimerExpired(): void {
    this.#giveUp((this.highestViewChange + 1) as View)
  }

  /** [NC10] The primary of this view is replaced for being slow; who is giving the view up does not judge it. */
  onPrimaryTooSlow(): void {
    if (this.#pending !== null || !this.#amnesia.isVoting) return
    this.#outbox.observe({ kind: 'primary-too-slow', view: this.view, allowedMs: this.#watch.allowedMs })
    this.#giveUp((this.view + 1) as View)
  }

  #onViewEnd(): void {
    this.#timer.onViewEnd()
    this.#watch.onViewEnd()
  }

  /** [VC1] [VC3] From here on no vote below `target`. */
  #giveUp(target: View): void {
    if (!this.#amnesia.isVoting) return
    this.#onViewEnd()
    this.#pending = target
    this.#making = null
    this.#normalCase.mayVote = false
    const prepared = this.#preparedAbove()
    this.#decision.trust(prepared)
    const viewChange = this.#crypto.viewChange({
      newView: target,
      lowWaterMark: this.#log.lowWaterMark,
      incarnation: this.#amnesia.incarnation,
      checkpoints: this.#checkpoints.proof,
      prepared,
    })
    this.#viewChanges.addOwn(viewChange)
    const at = this.#outbox.persist({ kind: 'view-change', message: viewChange })
    this.#pendingAt = at
    this.#outbox.send(this.#peers, viewChange, at)
    this.#outbox.observe({ kind: 'view-change-started', view: target, prepared: prepared.length })
    this.#afterViewChange()
  }

  #preparedAbove(): PreparedCertificate[] {
    const prepared: PreparedCertificate[] = []
    for (const { certificate } of this.#log.all()) if (certificate !== null) prepared.push(certificate)
    return prepared.sort((a, b) => a.header.seq - b.header.seq)
  }

  onViewChange(from: PrincipalId, viewChange: ViewChange): void {
    // [VC3] What leads to a view that is over here is of use to nobody.
    if (viewChange.newView <= this.view) return this.#outbox.reject(from, 'superseded-view')
    this.#viewChanges.onViewChange(from, viewChange)
  }

  /** [VC5] f+1 want views above this replica's: it joins the smallest. One sender's huge view moves nobody. */
  #afterViewChange(): void {
    const above = this.#viewChanges.viewsAbove(this.highestViewChange)
    const [smallest] = above
    if (smallest !== undefined && above.length >= this.#config.quorum.weak && this.#amnesia.isVoting) {
      return this.#giveUp(smallest)
    }
    this.#lead()
    this.#checkCandidates()
  }

  // --- leading into a view

  /** [VC2] The primary of the pending view, with q VIEW-CHANGEs for it. */
  #lead(): void {
    const view = this.#pending
    const { self, quorum } = this.#config
    if (view === null || this.#making === view || primaryOf(view, quorum) !== self) return
    const own = this.#viewChanges.of(self)
    const others = this.#viewChanges.forView(view).filter(({ replica }) => replica !== self)
    if (own === undefined || others.length < quorum.quorum - 1) return
    this.#making = view
    const viewChanges = [own, ...others.slice(0, quorum.quorum - 1)]
    this.#decision.decide(viewChanges, (order) => {
      if (this.#pending === view) this.#announce(view, viewChanges, order)
    })
  }

  #announce(view: View, viewChanges: readonly ViewChange[], order: Order): void {
    const { self } = this.#config
    const nullBatch = this.#crypto.batchDigest([])
    const headers = order.entries.map((entry): Header => {
      const { seq } = entry
      const digest = digestOfEntry(entry, nullBatch)
      const signature = this.#crypto.sign({ type: 'pre-prepare', view, seq, signer: self, digests: [digest] })
      return { view, seq, digest, signature }
    })
    const names = viewChanges.map(({ replica, digest }) => ({ replica, digest }))
    const message = this.#crypto.newView({ view, viewChanges: names, headers })
    const at = this.#enter({ message, viewChanges }, order)
    this.#outbox.send(this.#peers, message, at)
  }

  // --- following into a view

  onNewView(from: PrincipalId, newView: NewView): void {
    const { view, replica, digest, viewChanges, signature } = newView
    const { self, quorum } = this.#config
    if (view <= this.view || view < this.highestViewChange)
      return this.#outbox.reject(from, 'superseded-view')
    if (replica !== primaryOf(view, quorum) || replica === self)
      return this.#outbox.reject(from, 'not-primary')
    const known = this.#candidates.get(replica)
    if (known !== undefined && known.view >= view) return
    const senders = new Set(viewChanges.map((name) => name.replica))
    if (senders.size !== viewChanges.length || senders.size < quorum.quorum) {
      return this.#outbox.reject(from, 'out-of-bounds')
    }
    this.#verify(
      [{ statement: { type: 'new-view', view, seq: 0, signer: replica, digests: [digest] }, signature }],
      ([valid]) => {
        if (valid !== true) return this.#outbox.reject(from, 'bad-signature')
        if (view <= this.view || view < this.highestViewChange) return
        this.#candidates.set(replica, newView)
        this.#viewChanges.want(replica, view, viewChanges)
        this.#checkCandidates()
      },
    )
  }

  /** The candidates whose VIEW-CHANGEs are all here, one at a time. */
  #checkCandidates(): void {
    if (this.#underCheck !== null) return
    for (const [primary, newView] of this.#candidates) {
      const viewChanges = this.#viewChanges.complete(primary)
      if (viewChanges === null) continue
      this.#drop(primary)
      this.#underCheck = newView
      this.#check(newView, viewChanges)
      return
    }
  }

  #drop(primary: ReplicaId): void {
    this.#candidates.delete(primary)
    this.#viewChanges.forget(primary)
  }

  #check(newView: NewView, viewChanges: readonly ViewChange[]): void {
    if (this.#viewChanges.areVoid(viewChanges)) return this.#refuse(newView)
    this.#decision.decide(viewChanges, (order) => {
      if (!this.#matches(newView, order)) return this.#refuse(newView)
      const claims = newView.headers.map(
        ({ view, seq, digest, signature }): Claim => ({
          statement: { type: 'pre-prepare', view, seq, signer: newView.replica, digests: [digest] },
          signature,
        }),
      )
      this.#verify(claims, (valid) => {
        if (!valid.every((verdict) => verdict)) return this.#refuse(newView)
        this.#underCheck = null
        if (newView.view > this.view && newView.view >= this.highestViewChange) {
          this.#enter({ message: newView, viewChanges }, order)
        }
        this.#checkCandidates()
      })
    })
  }

  /** [VC2] The headers are exactly the O that this replica computed. */
  #matches({ view, headers }: NewView, { entries }: Order): boolean {
    const nullBatch = this.#crypto.batchDigest([])
    return (
      headers.length === entries.length &&
      entries.every((entry, index) => {
        const header = headers[index]
        return (
          header?.view === view &&
          header.seq === entry.seq &&
          header.digest === digestOfEntry(entry, nullBatch)
        )
      })
    )
  }

  /** [VC2] A primary that q replicas asked, and that answered wrongly: the next one, at once. */
  #refuse(newView: NewView): void {
    this.#underCheck = null
    this.#outbox.reject(newView.replica, 'conflicting')
    if (newView.view >= this.highestViewChange) this.#giveUp((newView.view + 1) as View)
    this.#checkCandidates()
  }

  /** [VC3] Logged before any vote of the view; every vote's record comes behind it. */
  #enter(entered: EnteredView, order: Order): LogPosition {
    const { message } = entered
    const { view, headers } = message
    if (this.#pending !== view) this.#onViewEnd()
    this.#pending = null
    this.#making = null
    this.#entered = entered
    for (const [primary, candidate] of this.#candidates) {
      if (candidate.view <= view) this.#drop(primary)
    }
    const at = this.#outbox.persist({ kind: 'new-view', ...entered })
    this.#enteredAt = at
    this.#checkpoints.admit(order.checkpoints)
    this.#normalCase.mayVote = this.#amnesia.mayVoteIn(view)
    const upTo = maxSeqOf(order)
    this.#normalCase.enterView({ view, headers, upTo, at })
    this.#bodies.onViewEntered()
    this.#batcher.onViewEntered(upTo)
    const nulls = order.entries.filter(({ certificate }) => certificate === null).length
    this.#outbox.observe({ kind: 'view-entered', view, reordered: order.entries.length - nulls, nulls })
    return at
  }

  /** [D5] An amnesiac that may vote again: in the view that it has entered, or in the next one. */
  onVotingAgain(): void {
    this.#normalCase.mayVote = this.#amnesia.mayVoteIn(this.view)
    this.#normalCase.voteAgain()
    this.#batcher.onViewEntered(this.#normalCase.orderedUpTo)
  }

  /** [D5] The VIEW-CHANGE that is out is void by now: one for the next view takes its place. */
  onIncarnationRenewed(): void {
    if (this.#pending !== null) this.#giveUp((this.#pending + 1) as View)
  }

  // --- handing on

  /** [VC5] What a peer's STATUS shows it to lack of the way to a view. */
  answer(peer: ReplicaId, { view, highestViewChange, viewChanges }: Status): void {
    // [D5] Also not what it said before it forgot.
    if (!this.isVoting) return
    if (this.#entered !== null && view < this.view && highestViewChange <= this.view)
      return this.#handOn(peer, { highestViewChange, viewChanges })
    const { self } = this.#config
    const own = this.#viewChanges.of(self)
    if (own === undefined || own.newView !== this.#pending) return
    // Whoever wants a higher view has no use for it.
    if (view >= own.newView || highestViewChange > own.newView) return
    if (highestViewChange === own.newView && viewChanges.includes(self)) return
    this.#outbox.send([peer], own, this.#pendingAt)
  }

  #handOn(
    peer: ReplicaId,
    { highestViewChange, viewChanges }: Pick<Status, 'highestViewChange' | 'viewChanges'>,
  ): void {
    const entered = this.#entered
    if (entered === null) return
    const { nowMs } = this.#outbox
    const lastMs = this.#handedOnMs.get(peer)
    if (lastMs !== undefined && nowMs - lastMs < HAND_ON_TICKS * this.#config.statusBusyMs) return
    this.#handedOnMs.set(peer, nowMs)
    const has = highestViewChange === this.view ? viewChanges : []
    this.#outbox.send([peer], entered.message, this.#enteredAt)
    for (const viewChange of entered.viewChanges) {
      if (has.includes(viewChange.replica)) continue
      this.#outbox.send([peer], viewChange, this.#enteredAt)
    }
  }

  // --- verification

  #verify(claims: readonly Claim[], then: (valid: readonly boolean[]) => void): void {
    this.#pendingChecks.set(this.#outbox.verify(claims), then)
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const then = this.#pendingChecks.get(check)
    if (then !== undefined) {
      this.#pendingChecks.delete(check)
      then(valid)
      return true
    }
    if (this.#decision.onVerified(check, valid)) return true
    const viewChange = this.#viewChanges.onVerified(check, valid)
    if (viewChange === undefined) return false
    if (viewChange !== null) this.#afterViewChange()
    return true
  }
}

/** The trap: a replica that restarts in the middle of a view change is still in it. */
export function pendingOf({ viewChange, newView }: LoggedViews): View | null {
  const entered = newView?.message.view ?? 0
  return viewChange !== null && viewChange.newView > entered ? viewChange.newView : null
}
