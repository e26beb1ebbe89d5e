import type { BatchAt, Executed } from '../../../db/store.ts'
import { logWindowOf } from '../../../protocol/config.ts'
import type { Evidence, Message } from '../../../protocol/messages.ts'
import type { Digest, ReplicaId, Seq, View } from '../../../protocol/types.ts'
import type { Observation } from '../../../replica/core/effect.ts'
import type { DatabaseState } from '../../../replica/core/event.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { authorityOf } from '../check/authority-check.ts'
import { checkCut, checkReply } from '../check/durability-check.ts'
import { EvidenceCheck } from '../check/evidence-check.ts'
import { HistoryCheck } from '../check/history-check.ts'
import { PromiseCheck } from '../check/promise-check.ts'
import { ViewCheck } from '../check/view-check.ts'
import { isSigned } from '../core-crypto.ts'
import type { Database } from '../database.ts'
import type { Disk } from '../disk.ts'
import { Violation } from '../violation.ts'
import type { Schedule } from './schedule.ts'
import type { TwinWorld } from './world.ts'

/** What is told of one instance, as it happens. */
export type InstanceChecks = {
  onExecuted(
    run: readonly BatchAt[],
    done: { readonly executed: readonly Executed[]; readonly sum: bigint },
  ): void
  /** [CP3] */
  onHeld(state: { readonly seq: Seq; readonly stateRoot: Digest; readonly chain: Digest }): void
  onInstalled(database: DatabaseState): void
  onLogged(record: VoteRecord): void
  onSend(message: Message): void
  onCut(upTo: Seq): void
  onEvidence(evidence: Evidence): void
  onObserved(what: Observation, view: View): void
  onHalt(why: string): void
  onThrow(error: unknown): void
}

/**
 * What may not happen to whoever is run once: two batches at one seq, two chains, a promise broken or not durable, a
 * false NEW-VIEW, a state that never was, evidence against the innocent, a stop. Twins are faulty: what they do is counted.
 */
export class Checks {
  readonly history: HistoryCheck
  readonly #world: TwinWorld
  readonly #twins: ReadonlySet<ReplicaId>
  readonly #views: ViewCheck
  readonly #evidence: EvidenceCheck
  /** Over all instances, by view and seq: what the first accepted there. */
  readonly #accepted = new Map<string, Digest>()
  readonly #entered = new Set<View>()

  constructor(world: TwinWorld, { replicas, twins }: Schedule) {
    this.#world = world
    this.#twins = new Set(twins)
    const { cast, happenings } = world
    this.history = new HistoryCheck(cast.genesis, { happenings, authority: authorityOf(cast) })
    this.#evidence = new EvidenceCheck({ cast, liars: this.#twins, happenings })
    this.#views = new ViewCheck({
      replicas,
      logWindow: logWindowOf(cast.genesis.parameters),
      exempt: this.#twins,
      isSigned: (certificate) => isSigned(certificate, cast),
    })
  }

  of(replica: ReplicaId, by: { readonly disk: Disk; readonly database: Database }): InstanceChecks {
    return this.#twins.has(replica) ? this.#ofTwin(replica) : this.#ofCorrect(replica, by)
  }

  #ofTwin(replica: ReplicaId): InstanceChecks {
    const { happenings } = this.#world
    return {
      onExecuted: () => undefined,
      onHeld: () => undefined,
      onInstalled: () => undefined,
      onLogged: (record) => this.#views.onLogged(record),
      onSend: (message) => this.#views.onWire(replica, message),
      onCut: () => undefined,
      onEvidence: (evidence) => this.#evidence.onKept(replica, evidence),
      onObserved: (what, view) => this.#count(what, view),
      onHalt: () => happenings.count('twin halted'),
      onThrow: (error) => {
        if (error instanceof Violation) throw error
        happenings.count(`twin stopped: ${error instanceof Error ? error.message : error}`)
      },
    }
  }

  #ofCorrect(
    replica: ReplicaId,
    { disk, database }: { readonly disk: Disk; readonly database: Database },
  ): InstanceChecks {
    const { history } = this
    const views = this.#views
    const promises = new PromiseCheck(replica, disk)
    return {
      onExecuted: (run, done) => history.onCommitted(replica, run, done),
      onHeld: (state) => history.onRoot(state, { replica, isTampered: false }),
      onInstalled: (state) => history.onInstalled(replica, state),
      onLogged: (record) => views.onLogged(record),
      onSend: (message) => {
        promises.onWire(message)
        this.#evidence.onWire(replica, message)
        views.onWire(replica, message)
        if (message.type === 'reply') checkReply(message, { replica, disk, database, history })
      },
      onCut: (upTo) => checkCut(upTo, { replica, disk, durableSeq: database.store.durableSeq }),
      onEvidence: (evidence) => this.#evidence.onKept(replica, evidence),
      onObserved: (what, view) => {
        if (what.kind === 'committed') history.onAgreed(replica, what)
        this.#count(what, view)
      },
      onHalt: (why) => {
        throw new Violation('halted', `replica ${replica}: ${why}`)
      },
      onThrow: (error) => {
        if (error instanceof Violation) throw error
        const why = error instanceof Error ? error.message : error
        throw new Violation('exception', `replica ${replica}: ${why}`, { cause: error })
      },
    }
  }

  /** What shows that schedules did something. */
  #count(what: Observation, view: View): void {
    const { happenings } = this.#world
    if (what.kind === 'accepted') {
      const place = `${view}/${what.seq}`
      const first = this.#accepted.get(place) ?? what.digest
      this.#accepted.set(place, first)
      if (first !== what.digest) happenings.count('other batch accepted at one place')
    } else if (what.kind === 'view-entered') {
      if (!this.#entered.has(what.view)) happenings.count('view entered by somebody')
      this.#entered.add(what.view)
      if (what.reordered > what.nulls) happenings.count('view entered with prepared batches')
      if (what.nulls > 0) happenings.count('view entered with null batches')
    } else if (what.kind === 'committed') happenings.count(`committed by ${what.how}`)
    else if (what.kind === 'rejected') happenings.count(`rejected ${what.code}`)
    else if (
      what.kind === 'view-change-started' ||
      what.kind === 'body-fetched' ||
      what.kind === 'stable' ||
      what.kind === 'transfer-installed'
    ) {
      happenings.count(what.kind)
    }
  }
}
