import { InterruptedError } from './failure.ts'

type Cleanup = () => Promise<unknown> | unknown

/** What was started, to be ended in reverse order however the work ends. */
export class Scope {
  readonly #cleanups: Cleanup[] = []
  readonly #aborted = new AbortController()
  #working: Promise<void> = Promise.resolve()
  #closing = false
  #closed = false

  /** Aborts when the work is interrupted: loops look at it. */
  get signal(): AbortSignal {
    return this.#aborted.signal
  }

  /** Does the work that this is the scope of. */
  run<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
    const working = work(this)
    // After an interruption it may still fail, because what it uses is taken away.
    this.#working = working.then(
      () => undefined,
      () => undefined,
    )
    return working
  }

  /**
   * Resolves when the work does no more. An interruption does not stop it in the middle: whoever removes files that it
   * may be writing waits for this, after everything that it could hang on is ended.
   */
  get worked(): Promise<void> {
    return this.#working
  }

  /**
   * Runs `cleanup` when the scope ends.
   * @throws InterruptedError when it is ending or has ended, after seeing to `cleanup`: the work is not to go on
   */
  defer(cleanup: Cleanup): void {
    if (this.#closed) void run(cleanup)
    else this.#cleanups.push(cleanup)
    if (this.#closing) throw new InterruptedError('interrupted')
  }

  abort(): void {
    this.#aborted.abort()
  }

  /** @returns what went wrong, first failure first; everything is tried */
  async close(): Promise<unknown[]> {
    this.#closing = true
    const failures: unknown[] = []
    for (let next = this.#cleanups.pop(); next !== undefined; next = this.#cleanups.pop()) {
      failures.push(...(await run(next)))
    }
    this.#closed = true
    return failures
  }
}

async function run(cleanup: Cleanup): Promise<unknown[]> {
  try {
    await cleanup()
    return []
  } catch (error) {
    return [error]
  }
}

/**
 * Does work that has a scope of its own inside of another: what it deferred ends with it, or with the outer one if that
 * ends first. An interruption of the outer one is one of both.
 * @throws what the work throws, or else what went wrong at the end of it
 */
export async function withInnerScope<T>(outer: Scope, work: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = new Scope()
  const abort = () => scope.abort()
  let closing: Promise<unknown[]> | undefined
  // Two who close at the same time would do so in any order: files before the processes that use them. What went wrong is
  // told once.
  const close = async () => {
    if (closing !== undefined) {
      await closing
      return []
    }
    closing = scope.close()
    return closing
  }
  outer.defer(async () => throwFirst(await close()))
  if (outer.signal.aborted) abort()
  outer.signal.addEventListener('abort', abort)
  let isDone = false
  try {
    const result = await scope.run(work)
    isDone = true
    return result
  } finally {
    const failures = await close()
    outer.signal.removeEventListener('abort', abort)
    if (isDone) throwFirst(failures)
    else tell(failures)
  }
}

function throwFirst([failure, ...others]: readonly unknown[]): void {
  tell(others)
  if (failure !== undefined) throw failure
}

function tell(failures: readonly unknown[]): void {
  for (const failure of failures) {
    process.stderr.write(`pbft: while stopping: ${failure instanceof Error ? failure.message : failure}\n`)
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The first of the signals that ask a process to end. Later ones change nothing: cleaning up goes on. */
export function onEndSignal(listener: (signal: NodeJS.Signals) => void): () => void {
  for (const signal of SIGNALS) process.on(signal, listener)
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener)
  }
}

/**
 * Runs `work` and then everything that it deferred: when it returns, throws, is interrupted by a signal, or when
 * something is thrown that nobody catches. `finishes`: the work sees to the first signal itself, by the scope's own, and
 * only a second one interrupts it.
 * @throws InterruptedError after the cleanup, when a signal came
 */
export async function withScope<T>(
  work: (scope: Scope) => Promise<T>,
  { finishes = false }: { readonly finishes?: boolean } = {},
): Promise<T> {
  const scope = new Scope()
  const { promise: cut, reject } = Promise.withResolvers<never>()
  const stopListening = onEndSignal((signal) => {
    const isFirst = !scope.signal.aborted
    if (isFirst) process.stderr.write(finishes ? '\nfinishing; again to break off ...\n' : '\nstopping ...\n')
    scope.abort()
    if (isFirst && finishes) return
    reject(new InterruptedError(`interrupted by ${signal}`))
  })
  process.on('uncaughtException', reject)
  process.on('unhandledRejection', reject)
  try {
    return await Promise.race([scope.run(work), cut])
  } finally {
    cut.catch(() => undefined)
    const failures = await scope.close()
    stopListening()
    process.off('uncaughtException', reject)
    process.off('unhandledRejection', reject)
    tell(failures)
  }
}
