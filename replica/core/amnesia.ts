import type { Request } from '../../protocol/messages.ts'
import type { LogPosition, ReplicaId, RequestNumber, Seq, View } from '../../protocol/types.ts'
import { type CoreConfig, type CoreCrypto, peersOf } from './config.ts'
import type { Incarnations } from './incarnations.ts'
import type { SlotLog } from './log.ts'
import type { Outbox } from './outbox.ts'
import { RECOVER_LANE } from './request-rules.ts'

/** RECOVER is sent again after so many STATUS ticks without its execution. */
const RESEND_TICKS = 5
/** In statusIdleMs: for so long more than f must say that they are amnesiac before one of them stops. */
const TOO_MANY_PERIODS = 3

export type AmnesiaState = 'voting' | 'amnesiac'

/**
 * [D5] A replica without its vote log. It says nothing that could contradict what it forgot, until the cluster executed
 * its RECOVER and then moved so far that every vote it can have cast lies below a stable checkpoint.
 */
export class Amnesia {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #incarnations: Incarnations
  readonly #peers: readonly ReplicaId[]
  /** Of peers, by their STATUS. */
  readonly #viewOf = new Map<ReplicaId, View>()
  readonly #amnesiacs = new Set<ReplicaId>()
  #number: RequestNumber
  #state: AmnesiaState
  #votesFrom: View
  #incarnation: number
  #recover: Request | null = null
  #recoveredAt: LogPosition | null = null
  #ticks = 0
  #tooManySinceMs: number | null = null

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    incarnations: Incarnations
    state: AmnesiaState
    /** Under which it votes by its log; 0 from genesis. */
    incarnation: number
    votesFrom: View
    /** Above every number that this replica used before: wall clock in microseconds. */
    nextIncarnation: number
  }) {
    this.#config = args.config
    this.#crypto = args.crypto
    this.#outbox = args.outbox
    this.#log = args.log
    this.#incarnations = args.incarnations
    this.#peers = peersOf(args.config)
    this.#state = args.state
    this.#incarnation = args.incarnation
    this.#votesFrom = args.votesFrom
    const known = this.#incarnations.of(args.config.self)?.incarnation ?? 0
    this.#number = Math.max(args.nextIncarnation, known + 1) as RequestNumber
  }

  get isVoting(): boolean {
    return this.#state === 'voting'
  }

  get incarnation(): number {
    return this.#incarnation
  }

  mayVoteIn(view: View): boolean {
    return this.isVoting && view >= this.#votesFrom
  }

  onStatus(
    peer: ReplicaId,
    { view, isAmnesiac }: { readonly view: View; readonly isAmnesiac: boolean },
  ): void {
    this.#viewOf.set(peer, view)
    if (isAmnesiac) this.#amnesiacs.add(peer)
    else this.#amnesiacs.delete(peer)
    if (!this.isVoting && this.#recover === null) this.#send()
  }

  /** What a peer said of itself may be over by now: it is believed when it lasts. */
  #judge(): void {
    const count = this.#amnesiacs.size + 1
    const { nowMs } = this.#outbox
    if (count <= this.#config.quorum.f) this.#tooManySinceMs = null
    else if (this.#tooManySinceMs === null) this.#tooManySinceMs = nowMs
    else if (nowMs - this.#tooManySinceMs > TOO_MANY_PERIODS * this.#config.statusIdleMs) this.#tooMany(count)
  }

  #tooMany(count: number): void {
    const { f, n } = this.#config.quorum
    const detail = `${count} of ${n} replicas lost their vote logs, and f is ${f}: what they promised is not known any more`
    this.#outbox.effect({ type: 'halt', fault: { code: 'too-many-amnesiacs', seq: 0 as Seq, detail } })
  }

  /** At each STATUS tick. */
  onTick(): void {
    if (this.isVoting) return
    this.#judge()
    if (this.#executedAt() !== null) return
    this.#ticks += 1
    if (this.#ticks % RESEND_TICKS === 0) this.#send()
  }

  /** An ordinary request of this replica's own: to all, since any of them may be the primary. */
  #send(): void {
    // A clock that went back, or an earlier RECOVER that was executed after all: this number would be superseded.
    const known = this.#incarnations.of(this.#config.self)?.incarnation ?? 0
    if (known > this.#number) {
      this.#number = (known + 1) as RequestNumber
      this.#recover = null
    }
    const view = this.#recover === null ? this.#enteredByOneCorrect() : null
    if (view !== null) {
      this.#votesFrom = view
      this.#recover = this.#crypto.request({
        client: this.#config.self,
        lane: RECOVER_LANE,
        number: this.#number,
        operations: [{ kind: 'recover', view }],
      })
      this.#outbox.observe({ kind: 'amnesiac-recovering', incarnation: this.#number })
    }
    if (this.#recover !== null) this.#outbox.send(this.#peers, this.#recover)
  }

  /** The highest view that f+1 report to have entered. */
  #enteredByOneCorrect(): View | null {
    const views = [...this.#viewOf.values()].sort((a, b) => b - a)
    return views[this.#config.quorum.weak - 1] ?? null
  }

  #executedAt(): Seq | null {
    const own = this.#incarnations.of(this.#config.self)
    return own?.incarnation === this.#number ? own.seq : null
  }

  /**
   * After each step. True when a RECOVER of an earlier run, whose clock was ahead, was executed after all: this replica
   * stands by all that it said since, and says it under that incarnation, or its VIEW-CHANGEs would be void. The
   * database tells it again after a restart.
   */
  renew(): boolean {
    const known = this.#incarnations.of(this.#config.self)?.incarnation ?? 0
    if (!this.isVoting || known <= this.#incarnation) return false
    this.#incarnation = known
    return true
  }

  /** After each step. True once: the votes of this incarnation may begin, now that the log says so durably [D1]. */
  settle(): boolean {
    if (this.isVoting) return false
    if (this.#recoveredAt === null) {
      const executedAt = this.#executedAt()
      if (executedAt === null || this.#log.lowWaterMark < executedAt + this.#config.logWindow) return false
      const record = { kind: 'recovered' as const, incarnation: this.#number, view: this.#votesFrom }
      this.#recoveredAt = this.#outbox.persist(record)
    }
    if (this.#recoveredAt > this.#outbox.durable) return false
    this.#state = 'voting'
    this.#incarnation = this.#number
    this.#outbox.observe({ kind: 'amnesiac-votes-again', incarnation: this.#number })
    return true
  }
}
