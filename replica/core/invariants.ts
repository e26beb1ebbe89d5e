import type { Batcher } from './batcher.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'

/** Checked after each step, in production too: constant time. @throws when this replica broke its own rules. */
export function checkInvariants(state: {
  log: SlotLog
  execution: Execution
  normalCase: NormalCase
  batcher: Batcher
}): void {
  const { log, execution, normalCase, batcher } = state
  must(log.size <= log.window, 'more slots than the window holds')
  must(execution.frontier >= execution.lastExecuted, 'executed beyond what is committed')
  if (!normalCase.isPrimary) return
  must(batcher.nextSeq > log.lowWaterMark, 'the next number is below the low water mark')
  must(batcher.nextSeq <= log.highWaterMark + 1, 'a number above the high water mark was used')
}

function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(`invariant broken: ${otherwise}`)
}
