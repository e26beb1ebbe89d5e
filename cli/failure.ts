import { PlanError } from '../chaos/plan/plan.ts'
import { EXIT, type ExitCode } from './exit-code.ts'

/** The command line asks for what there is not, or can't be. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** A signal came before the work was done. */
export class InterruptedError extends Error {
  override name = 'InterruptedError'
}

/** One line for people and the exit code; with PBFT_DEBUG=1 where it came from, too. */
export function reportFailure(error: unknown, write: (text: string) => void): ExitCode {
  const message = error instanceof Error ? error.message : String(error)
  write(`pbft: ${message}\n`)
  if (process.env.PBFT_DEBUG === '1' && error instanceof Error) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) write(`${at.stack}\n`)
  }
  if (error instanceof InterruptedError) return EXIT.interrupted
  return error instanceof UsageError || error instanceof PlanError ? EXIT.unknown : EXIT.fail
}
