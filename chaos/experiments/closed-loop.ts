import { setTimeout as delay } from 'node:timers/promises'
import { IndeterminateError, NotSentError, OverloadedError, UnavailableError } from '../../client/errors.ts'
import { Histogram } from '../workload/histogram.ts'
import type { LoadTarget } from '../workload/load.ts'
import type { Iteration } from './iterations.ts'
import type { Progress } from './progress.ts'

/** So that an outage isn't answered by a storm. */
const PAUSE_BEFORE_RETRY_MS = 20
/** A cluster that does not get one call done in this time is not being measured any more. */
const PATIENCE_MS = 120_000

export type LoopResult = {
  /** Wall time from the first call to the last answer, without the time that the loop was held. */
  readonly ms: number
  readonly heldMs: number
  readonly reads: number
  readonly writes: number
  /** Answered by the bank with a refusal; counted among the writes. */
  readonly refused: number
  /** Calls made again because they were certainly not executed: their time is in the iteration's latency. */
  readonly retried: number
  /** Writes of which nobody can tell whether they were executed. They are not made again: that might be twice. */
  readonly unanswered: number
  readonly readLatencyUs: Histogram
  readonly writeLatencyUs: Histogram
}

export type LoopOptions = {
  /** Callers that wait for an answer each; the paper has one. */
  readonly concurrency: number
  readonly progress: Progress
  readonly signal: AbortSignal
  /** Asked before each iteration, by its number from 0: a promise holds the loop until it resolves. */
  readonly hold?: (iteration: number) => Promise<void> | undefined
}

/** Makes every call exactly once, each caller its next when the last is answered. Rejects with the signal's reason. */
export async function runClosedLoop(
  target: LoadTarget,
  iterations: readonly Iteration[],
  options: LoopOptions,
): Promise<LoopResult> {
  const loop = new ClosedLoop(target, iterations, options)
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: options.concurrency }, () => loop.call()))
  const ms = performance.now() - startedMs - loop.heldMs
  const { readLatencyUs, writeLatencyUs, heldMs, refused, retried, unanswered } = loop
  const counts = { reads: readLatencyUs.total, writes: writeLatencyUs.total + unanswered }
  return { ms, heldMs, ...counts, refused, retried, unanswered, readLatencyUs, writeLatencyUs }
}

class ClosedLoop {
  readonly readLatencyUs = new Histogram()
  readonly writeLatencyUs = new Histogram()
  heldMs = 0
  refused = 0
  retried = 0
  unanswered = 0
  #next = 0
  #heldSinceMs: number | undefined
  readonly #target: LoadTarget
  readonly #iterations: readonly Iteration[]
  readonly #options: LoopOptions

  constructor(target: LoadTarget, iterations: readonly Iteration[], options: LoopOptions) {
    this.#target = target
    this.#iterations = iterations
    this.#options = options
  }

  async call(): Promise<void> {
    const { signal, progress } = this.#options
    for (;;) {
      signal.throwIfAborted()
      const number = this.#next
      const iteration = this.#iterations[number]
      if (iteration === undefined) return
      this.#next += 1
      await this.#untilLetGo(number)
      await this.#perform(iteration)
      progress.advance()
    }
  }

  /** Several callers may be held at once: their common time counts once. */
  async #untilLetGo(number: number): Promise<void> {
    const held = this.#options.hold?.(number)
    if (held === undefined) return
    this.#heldSinceMs ??= performance.now()
    await held
    if (this.#heldSinceMs !== undefined) this.heldMs += performance.now() - this.#heldSinceMs
    this.#heldSinceMs = undefined
  }

  async #perform(iteration: Iteration): Promise<void> {
    const startedMs = performance.now()
    for (;;) {
      try {
        const isAnswered =
          iteration.kind === 'read' ? await this.#read(iteration) : await this.#write(iteration)
        const latencyUs = (performance.now() - startedMs) * 1_000
        if (isAnswered) (iteration.kind === 'read' ? this.readLatencyUs : this.writeLatencyUs).add(latencyUs)
        return
      } catch (error) {
        this.#options.signal.throwIfAborted()
        if (!isNotExecuted(error) || performance.now() - startedMs > PATIENCE_MS) throw error
        this.retried += 1
        await delay(PAUSE_BEFORE_RETRY_MS)
      }
    }
  }

  async #read({ account }: Iteration & { readonly kind: 'read' }): Promise<boolean> {
    await this.#target.balance(account)
    return true
  }

  async #write({ operation }: Iteration & { readonly kind: 'write' }): Promise<boolean> {
    try {
      const [result] = await this.#target.submit([operation])
      if (result?.kind === 'refused') this.refused += 1
      return true
    } catch (error) {
      if (error instanceof IndeterminateError) this.unanswered += 1
      else throw error
      return false
    }
  }
}

const isNotExecuted = (error: unknown): boolean =>
  error instanceof NotSentError || error instanceof OverloadedError || error instanceof UnavailableError
