import type { Seq } from '../../protocol/types.ts'
import type { CoreConfig } from './config.ts'
import type { Outbox } from './outbox.ts'
import type { NamedRequest, UnorderedRequest } from './waiting.ts'

/** Ordering a request may take as long as so many rounds of votes on a batch here: at once, or where requests take turns. */
const VOTE_ROUNDS = { atOnce: 1, inTurn: 2 } as const
/** On top comes this part of T's first length: clients' packets come late to some, and processes pause. */
const SLACK = 1 / 50
/** So much of all time a primary may spend beyond that; */
const EXCESS_SHARE = 1 / 10
/** what is more adds up, to so many times T at first at most. Where a process starts on a busy machine less was measured. */
const EXCESS_MAX = 4
/** With this part of it a replica follows another that gave the view up; */
const FOLLOWING_PART = 1 / 2
/** a view that ends with this part of it or more ends for being slow. */
const SLOW_PART = 1 / 4
/** A replica steps once in statusBusyMs at least. When it did not for so many of them, it stood still itself. */
const STEP_MAX = 2
const LENIENCY_MAX = 1 << 10
/** After so long without such an end the leniency halves. */
const LENIENCY_MS = 600_000
/** Of the last votes' time, how much the newest counts. */
const NEWEST_WEIGHT = 1 / 8

/**
 * [NC10] Whether the primary orders requests as fast as this cluster shows that it can: measured against the time that the
 * votes on a batch take here, which it cannot shorten alone. Only what this replica saw itself counts.
 */
export class PrimaryWatch {
  readonly #outbox: Outbox
  readonly #baseMs: number
  readonly #stepMaxMs: number
  readonly #inFlightMax: number
  #steppedMs = 0
  /** When the PRE-PREPAREs of this view that are not committed were accepted. */
  readonly #acceptedMs = new Map<Seq, number>()
  /** The highest that this view's primary ordered; 0: none. */
  #orderedUpTo = 0
  /** From accepting a batch to its being committed, smoothed; null before the first. It outlives views. */
  #votesMs: number | null = null
  #leniency = 1
  /** When the leniency last changed. */
  #leniencyMs = 0
  #awaited: UnorderedRequest | null = null
  /** No wait counts from before. */
  #fromMs = 0
  /** When a correct primary may last have let a request wait for its turn. */
  #inTurnMs = Number.NEGATIVE_INFINITY
  /** Time in which a request waited beyond what is allowed. */
  #debtMs = 0
  /** Up to when debt is reckoned. */
  #debtAtMs = 0

  constructor({ config, outbox }: { config: CoreConfig; outbox: Outbox }) {
    this.#outbox = outbox
    this.#baseMs = config.viewChangeTimeoutMs
    this.#stepMaxMs = STEP_MAX * config.statusBusyMs
    this.#inFlightMax = config.inFlightMax
  }

  /** How long the present request may wait here to be ordered, in milliseconds; infinite while nothing is known. */
  get allowedMs(): number {
    if (this.#votesMs === null) return Number.POSITIVE_INFINITY
    const rounds = this.#inTurnMs >= this.#sinceMs ? VOTE_ROUNDS.inTurn : VOTE_ROUNDS.atOnce
    return this.#leniency * (SLACK * this.#baseMs + rounds * this.#votesMs)
  }

  get #sinceMs(): number {
    return Math.max(this.#awaited?.sinceMs ?? this.#outbox.nowMs, this.#fromMs)
  }

  /**
   * The primary is to be replaced. A wait counts when it is over: one that does not end is T's affair [NC8]. Who gave the
   * view up already votes in it no more, so that votes take longer, and what is allowed grows: the others follow sooner.
   */
  isTooSlow(views: { readonly isGivenUp: boolean }): boolean {
    const maxMs = EXCESS_MAX * this.#baseMs
    return this.#debtMs > maxMs || (this.#debtMs > FOLLOWING_PART * maxMs && views.isGivenUp)
  }

  /** At the start of each step. What was waited for while this replica stood still itself says nothing of others. */
  onStep(): void {
    const { nowMs } = this.#outbox
    if (nowMs - this.#steppedMs > this.#stepMaxMs) {
      this.#fromMs = nowMs
      this.#acceptedMs.clear()
    }
    this.#steppedMs = nowMs
  }

  /**
   * At the end of each step: the oldest request that the primary did not order; null: none, or it cannot be judged now.
   * `isShared`: other clients are active, too, and the primary may know of it only by what is relayed [FS3].
   */
  watch(
    awaited: UnorderedRequest | null,
    { isShared, committedUpTo }: { readonly isShared: boolean; readonly committedUpTo: Seq },
  ): void {
    // [NC2] With all slots open the primary gathers.
    const isFull = this.#orderedUpTo - committedUpTo >= this.#inFlightMax
    if (isShared || isFull) this.#inTurnMs = this.#outbox.nowMs
    if (isSame(this.#awaited, awaited)) return
    this.#charge()
    if (this.#awaited === null) this.#fromMs = this.#outbox.nowMs
    this.#awaited = awaited
  }

  /** The present wait is over. Those of many requests at a time count once. */
  #charge(): void {
    const { nowMs } = this.#outbox
    const chargedMs = this.#debtAtMs
    this.#forgive()
    if (this.#awaited === null) return
    const dueMs = this.#sinceMs + this.allowedMs
    this.#debtMs += Math.max(0, nowMs - Math.max(dueMs, chargedMs))
  }

  #forgive(): void {
    const { nowMs } = this.#outbox
    this.#debtMs = Math.max(0, this.#debtMs - EXCESS_SHARE * (nowMs - this.#debtAtMs))
    this.#debtAtMs = nowMs
  }

  /** This view's primary ordered a batch. One that had no room for the rest gives each its full time again. */
  onAccepted(seq: Seq, { isFull }: { readonly isFull: boolean }): void {
    this.#acceptedMs.set(seq, this.#outbox.nowMs)
    this.#orderedUpTo = Math.max(this.#orderedUpTo, seq)
    if (!isFull) return
    this.#charge()
    this.#fromMs = this.#outbox.nowMs
  }

  /** By votes of this view. */
  onCommitted(seq: Seq): void {
    const acceptedMs = this.#acceptedMs.get(seq)
    if (acceptedMs === undefined) return
    this.#acceptedMs.delete(seq)
    const ms = this.#outbox.nowMs - acceptedMs
    this.#votesMs = this.#votesMs === null ? ms : this.#votesMs + NEWEST_WEIGHT * (ms - this.#votesMs)
  }

  /**
   * A view that ends for being slow makes every replica that saw so twice as lenient: where no primary is any better, the
   * requirement follows what they achieve, and liars can depose the others a few times only. One that orders nothing at
   * all is T's affair, and changes nothing here.
   */
  onViewEnd(): void {
    this.#forgive()
    if (this.#debtMs >= SLOW_PART * EXCESS_MAX * this.#baseMs) {
      this.#leniency = Math.min(2 * this.#leniency, LENIENCY_MAX)
      this.#leniencyMs = this.#outbox.nowMs
    }
    this.#awaited = null
    this.#debtMs = 0
    this.#acceptedMs.clear()
    this.#orderedUpTo = 0
  }

  /** Something became stable: time for what is slow to change, and what is below `upTo` is not measured any more. */
  onStable(upTo: Seq): void {
    for (const seq of this.#acceptedMs.keys()) if (seq <= upTo) this.#acceptedMs.delete(seq)
    const { nowMs } = this.#outbox
    if (this.#leniency === 1 || nowMs - this.#leniencyMs < LENIENCY_MS) return
    this.#leniency /= 2
    this.#leniencyMs = nowMs
  }
}

const isSame = (one: NamedRequest | null, other: NamedRequest | null): boolean =>
  one === other || (one !== null && other !== null && one.key === other.key && one.number === other.number)
