import type { Message } from '../../protocol/messages.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { assertNever, type PrincipalId, type ReplicaId, type View } from '../../protocol/types.ts'
import type { Observation } from '../../replica/core/effect.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import type { Probe } from './probe.ts'
import type { World } from './world.ts'

/** Counts what the replicas of a run went through: the raw material of *sometimes* (sometimes.ts). */
export class Observer {
  readonly #world: World
  readonly #isIdle: () => boolean
  readonly #probe: Probe | undefined
  /** Who entered a view, over all restarts. */
  readonly #entered = new Map<View, Set<ReplicaId>>()
  /** Replicas whose last word on views was a VIEW-CHANGE. */
  readonly #changing = new Set<ReplicaId>()

  constructor(world: World, isIdle: () => boolean, probe?: Probe) {
    this.#world = world
    this.#isIdle = isIdle
    this.#probe = probe
  }

  onStart(votes: readonly VoteRecord[]): void {
    const pending = votes.reduce((view, r) => (r.kind === 'view-change' ? r.message.newView : view), 0)
    const entered = votes.reduce((view, r) => (r.kind === 'new-view' ? r.message.view : view), 0)
    if (pending > entered) this.#count('restart with a pending view')
  }

  onSend(replica: ReplicaId, message: Message, to: readonly PrincipalId[]): void {
    this.#probe?.onSend(replica, message, to)
    if (message.type === 'checkpoint' && message.replica !== replica) this.#count('checkpoint relayed')
    else if (message.type === 'reply') this.#count(`reply ${message.outcome.kind}`)
  }

  onReceived(replica: ReplicaId, message: Message, from: PrincipalId): void {
    this.#probe?.onReceived(replica, message, from)
  }

  onObserved(
    replica: ReplicaId,
    what: Observation,
    at: { readonly isAwaited: boolean; readonly isHighest: boolean },
  ): void {
    this.#probe?.onObserved(replica, what)
    switch (what.kind) {
      case 'committed':
        this.#count(`committed by ${what.how}`)
        if (what.how === 'votes' && at.isAwaited) this.#count('unprepared commit')
        if (this.#isIdle() && what.how !== 'votes') this.#count('idle catch-up')
        return
      case 'evidence':
        return this.#count(
          `evidence: ${what.evidence.claims.map(({ statement }) => statement.type).join(' and ')}`,
        )
      case 'rejected':
        return this.#count(`rejected ${what.code}`)
      case 'proposed':
        if (at.isHighest) this.#count('high water mark reached')
        return
      case 'view-change-started':
        if (this.#changing.has(replica)) this.#count('view change twice in a row')
        this.#changing.add(replica)
        return this.#count(what.kind)
      case 'view-entered':
        return this.#onEntered(replica, what)
      case 'body-fetched':
        return this.#count('batch fetched by digest')
      case 'primary-too-slow':
      case 'stable':
      case 'caught-up':
      case 'transfer-started':
      case 'transfer-moved':
      case 'transfer-installed':
      case 'transfer-source-replaced':
      case 'tampered':
      case 'repaired':
      case 'amnesiac-recovering':
      case 'amnesiac-votes-again':
        return this.#count(what.kind)
      case 'accepted':
      case 'prepared':
      case 'executed':
        return
      default:
        return assertNever(what)
    }
  }

  #onEntered(
    replica: ReplicaId,
    { view, reordered, nulls }: Extract<Observation, { kind: 'view-entered' }>,
  ): void {
    this.#changing.delete(replica)
    this.#count('view entered')
    if (reordered > nulls) this.#count('view change with prepared batches')
    if (nulls > 0) this.#count('null request')
    let there = this.#entered.get(view)
    if (there === undefined) {
      there = new Set()
      this.#entered.set(view, there)
    }
    if (there.size >= quorumOf(this.#world.plan.replicas).quorum) this.#count('view entered late')
    there.add(replica)
  }

  #count(what: string): void {
    this.#world.happenings.count(what)
  }
}
