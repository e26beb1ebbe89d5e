import { setTimeout as delay } from 'node:timers/promises'
import { ClientError, OverloadedError, RefusedError } from '../../client/errors.ts'
import type { SimpleOperation } from '../../protocol/operations.ts'
import { Histogram } from './histogram.ts'

/** What a caller needs of a bank: writes are ordered, balances are quorum reads. */
export type LoadTarget = {
  submit(operations: readonly SimpleOperation[]): Promise<readonly { readonly kind: string }[]>
  balance(account: string): Promise<bigint>
}

/** A caller whose call failed tries again only after this, so that an outage isn't answered by a storm. */
const PAUSE_AFTER_ERROR_MS = 50

const LATE_MS_MAX = 50

/** What one stretch of time saw. Latencies in microseconds, of calls that were answered. */
export class Tally {
  readonly latencyUs = new Histogram()
  /** Answered by the bank with a refusal: an ordered result like any other, counted among the operations too. */
  refused = 0
  /** Without an answer: indeterminate, or not sent. */
  errors = 0

  get operations(): number {
    return this.latencyUs.total
  }

  add(other: Tally): void {
    this.latencyUs.addAll(other.latencyUs)
    this.refused += other.refused
    this.errors += other.errors
  }
}

/** A time without answers, on the clock of performance.now(). */
export type Silence = { readonly ms: number; readonly endedMs: number }

/**
 * A closed loop: each caller makes its next call when the last one is answered. Calls of one target that are made in
 * one turn share requests.
 */
export class Load {
  readonly #draw: () => SimpleOperation
  readonly #callers: Promise<void>[] = []
  #tally = new Tally()
  #stopped = false
  #lastError: ClientError | undefined
  /** Between two calls, over all callers; 0: none. */
  readonly #intervalMs: number
  #dueMs = performance.now()
  #answeredMs = performance.now()
  #silence: Silence = { ms: 0, endedMs: 0 }

  /** `operationsPerSecond`: at most so many over all callers, so that the load does not follow what the cluster can do. */
  constructor(
    targets: readonly LoadTarget[],
    options: {
      readonly callersEach: number
      readonly draw: () => SimpleOperation
      readonly operationsPerSecond?: number
    },
  ) {
    this.#draw = options.draw
    this.#intervalMs = options.operationsPerSecond === undefined ? 0 : 1_000 / options.operationsPerSecond
    for (const target of targets) {
      for (let i = 0; i < options.callersEach; i++) this.#callers.push(this.#call(target))
    }
  }

  /** Begins a new tally. @returns the one that ends */
  cut(): Tally {
    const tally = this.#tally
    this.#tally = new Tally()
    return tally
  }

  /** The longest time without any answer since this was last asked. */
  cutSilence(): Silence {
    const silence = this.#silence
    this.#silence = { ms: 0, endedMs: 0 }
    return silence
  }

  /** Why a call was not answered, of the last that wasn't. */
  get lastError(): ClientError | undefined {
    return this.#lastError
  }

  /** Resolves when the last call has been answered, or given up by its client. Rejects with a mistake of ours. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#callers)
  }

  async #call(target: LoadTarget): Promise<void> {
    while (!this.#stopped) {
      await this.#untilDue()
      const operation = this.#draw()
      const startedMs = performance.now()
      try {
        await this.#perform(target, operation)
        this.#answered(startedMs)
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        this.#tally.errors += 1
        this.#lastError = error
        await delay(error instanceof OverloadedError ? PAUSE_AFTER_ERROR_MS * 4 : PAUSE_AFTER_ERROR_MS)
      }
    }
  }

  /** A timer that went off late is made up for; what a longer pause of the cluster left undone is not. */
  async #untilDue(): Promise<void> {
    if (this.#intervalMs === 0) return
    const nowMs = performance.now()
    this.#dueMs = Math.max(this.#dueMs + this.#intervalMs, nowMs - LATE_MS_MAX)
    if (this.#dueMs > nowMs) await delay(this.#dueMs - nowMs)
  }

  #answered(startedMs: number): void {
    const nowMs = performance.now()
    this.#tally.latencyUs.add((nowMs - startedMs) * 1_000)
    const silentMs = nowMs - this.#answeredMs
    if (silentMs > this.#silence.ms) this.#silence = { ms: silentMs, endedMs: nowMs }
    this.#answeredMs = nowMs
  }

  async #perform(target: LoadTarget, operation: SimpleOperation): Promise<void> {
    if (operation.kind === 'balance') {
      try {
        await target.balance(operation.account)
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error
        this.#tally.refused += 1
      }
      return
    }
    const [result] = await target.submit([operation])
    if (result?.kind === 'refused') this.#tally.refused += 1
  }
}

/** Ends loads and their banks without waiting for answers that may never come. */
export async function abandon(
  loads: readonly Load[],
  banks: readonly { close(): Promise<void> }[],
): Promise<void> {
  const stopping = loads.map((load) => load.stop())
  await Promise.all(banks.map((bank) => bank.close()))
  await Promise.all(stopping)
}
