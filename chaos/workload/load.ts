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

  constructor(
    targets: readonly LoadTarget[],
    options: { readonly callersEach: number; readonly draw: () => SimpleOperation },
  ) {
    this.#draw = options.draw
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
      const operation = this.#draw()
      const startedMs = performance.now()
      try {
        await this.#perform(target, operation)
        this.#tally.latencyUs.add((performance.now() - startedMs) * 1_000)
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        this.#tally.errors += 1
        this.#lastError = error
        await delay(error instanceof OverloadedError ? PAUSE_AFTER_ERROR_MS * 4 : PAUSE_AFTER_ERROR_MS)
      }
    }
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
