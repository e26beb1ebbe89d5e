import type { Bank } from '../../../client/client.ts'
import {
  IndeterminateError,
  NotSentError,
  OverloadedError,
  UnavailableError,
} from '../../../client/errors.ts'
import type { SimpleOperation } from '../../../protocol/operations.ts'

export type WriteLoop = {
  readonly banks: readonly Pick<Bank, 'submit'>[]
  /** Over all banks; each makes its next when its last is answered. */
  readonly writes: number
  readonly draw: () => SimpleOperation
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

/** @returns how long each answered write took. A bank whose write is not answered in time makes no more. */
export async function writeUntilSilent({
  banks,
  writes,
  draw,
  deadlineMs,
  signal,
}: WriteLoop): Promise<number[]> {
  const latenciesMs: number[] = []
  let left = writes
  const work = async (bank: Pick<Bank, 'submit'>) => {
    while (left > 0 && !signal.aborted) {
      left -= 1
      const startedMs = performance.now()
      try {
        await bank.submit([draw()], { timeoutMs: deadlineMs })
      } catch (error) {
        if (isUnanswered(error)) return
        throw error
      }
      latenciesMs.push(performance.now() - startedMs)
    }
  }
  await Promise.all(banks.map(work))
  return latenciesMs
}

const isUnanswered = (error: unknown): boolean =>
  error instanceof IndeterminateError ||
  error instanceof NotSentError ||
  error instanceof OverloadedError ||
  error instanceof UnavailableError
