import { setTimeout as delay } from 'node:timers/promises'
import type { Travelled } from '../../client/effects.ts'
import { ClientError, IndeterminateError, OverloadedError } from '../../client/errors.ts'
import type { Operation, OperationResult, ReadValue } from '../../protocol/operations.ts'
import type { CallId, HistoryEvent, RequestPart } from '../check/history.ts'
import type { CustomerCall } from './customers.ts'

/** What a recorded caller needs of a bank. */
export type RecordedTarget = {
  readonly client: number
  submitTraced(
    operations: readonly Operation[],
  ): Promise<{ readonly results: readonly OperationResult[]; readonly travelled: Travelled }>
  readTraced(
    accounts: readonly string[],
  ): Promise<{ readonly values: readonly ReadValue[]; readonly travelled: Travelled | null }>
  lookup(what: IndeterminateError): Promise<
    | { readonly kind: 'executed'; readonly results: readonly OperationResult[] }
    | {
        readonly kind: 'not-executed' | 'unknown'
      }
  >
}

export type RecordedCaller = { readonly target: RecordedTarget; readonly next: () => CustomerCall }

/** Calls by how they ended so far. */
export type CallCounts = {
  /** Operations of the calls that were answered. */
  readonly operations: number
  readonly answered: number
  readonly failed: number
  readonly unknown: number
  readonly settled: number
}

/** A caller whose call failed tries again only after this, so that an outage isn't answered by a storm. */
const PAUSE_AFTER_ERROR_MS = 100

/**
 * A closed loop in which every call and every answer is written down: the history that the checker judges. A caller
 * whose call got no answer asks what became of it before it goes on.
 */
export class RecordedLoad {
  readonly #record: (event: HistoryEvent) => void
  readonly #nowUs: () => number
  readonly #callers: Promise<void>[]
  /** Between two calls of one caller; 0: none. */
  readonly #thinkMs: number
  #lastCall: CallId = 0
  #stopped = false
  readonly #counts = { operations: 0, answered: 0, failed: 0, unknown: 0, settled: 0 }

  constructor(
    callers: readonly RecordedCaller[],
    options: {
      readonly record: (event: HistoryEvent) => void
      /** Whole microseconds, on a clock that does not go back. */
      readonly nowUs: () => number
      readonly thinkMs?: number
    },
  ) {
    this.#record = options.record
    this.#nowUs = options.nowUs
    this.#thinkMs = options.thinkMs ?? 0
    this.#callers = callers.map((caller, number) => this.#run(caller, number))
  }

  get counts(): CallCounts {
    return { ...this.#counts }
  }

  /** Resolves when the last call has ended. Rejects with a mistake of ours. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#callers)
  }

  async #run({ target, next }: RecordedCaller, caller: number): Promise<void> {
    while (!this.#stopped) {
      const what = next()
      const call = ++this.#lastCall
      const { client } = target
      this.#record({ type: 'invoke', atUs: this.#nowUs(), call, caller, client, what })
      try {
        this.#record(await this.#perform(target, call, what))
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        await this.#onError(error, { target, call })
      }
      if (this.#thinkMs > 0) await delay(this.#thinkMs)
    }
  }

  async #perform(target: RecordedTarget, call: CallId, what: CustomerCall): Promise<HistoryEvent> {
    if (what.kind === 'read') {
      const { values, travelled } = await target.readTraced(what.accounts)
      this.#answered(values.length)
      const request = travelled === null ? null : partOf(travelled)
      return { type: 'ok', atUs: this.#nowUs(), call, request, values }
    }
    const { results, travelled } = await target.submitTraced(what.operations)
    this.#answered(results.length)
    return { type: 'ok', atUs: this.#nowUs(), call, request: partOf(travelled), results }
  }

  #answered(operations: number): void {
    this.#counts.answered += 1
    this.#counts.operations += operations
  }

  async #onError(
    error: ClientError,
    { target, call }: { readonly target: RecordedTarget; readonly call: CallId },
  ): Promise<void> {
    const { code } = error
    if (!(error instanceof IndeterminateError)) {
      this.#counts.failed += 1
      this.#record({ type: 'fail', atUs: this.#nowUs(), call, code })
      return void (await delay(
        error instanceof OverloadedError ? 4 * PAUSE_AFTER_ERROR_MS : PAUSE_AFTER_ERROR_MS,
      ))
    }
    this.#counts.unknown += 1
    const request = partOf({ request: error.request, slice: error.slice })
    this.#record({ type: 'unknown', atUs: this.#nowUs(), call, code, request })
    await this.#settle(error, { target, call })
  }

  /** What nobody can tell now stays unknown. */
  async #settle(
    error: IndeterminateError,
    { target, call }: { readonly target: RecordedTarget; readonly call: CallId },
  ): Promise<void> {
    try {
      const outcome = await target.lookup(error)
      const results = outcome.kind === 'executed' ? outcome.results : null
      this.#record({ type: 'settled', atUs: this.#nowUs(), call, outcome: outcome.kind, results })
      if (outcome.kind !== 'unknown') this.#counts.settled += 1
    } catch (failure) {
      if (!(failure instanceof ClientError)) throw failure
      await delay(PAUSE_AFTER_ERROR_MS)
    }
  }
}

const partOf = ({ request, slice }: Travelled): RequestPart => ({ ...request, ...slice })
