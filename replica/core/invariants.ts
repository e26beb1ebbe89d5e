import type { Amnesia } from './amnesia.ts'
import type { Batcher } from './batcher.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Views } from './views.ts'

/** Checked after each step, in production too: constant time. @throws when this replica broke its own rules. */
export function checkInvariants(state: {
  log: SlotLog
  execution: Execution
  normalCase: NormalCase
  batcher: Batcher
  views: Views
  amnesia: Amnesia
}): void {
  const { log, execution, normalCase, batcher, views, amnesia } = state
  must(log.size <= log.window, 'more slots than the window holds')
  must(execution.frontier >= execution.lastExecuted, 'executed beyond what is committed')
  must(views.pending === null || views.pending > views.view, 'gives up a view that is over')
  must(!normalCase.mayVote || views.pending === null, 'votes in a view that it gave up')
  must(!normalCase.mayVote || amnesia.isVoting, 'votes, and does not know what it voted before')
  if (!normalCase.isProposing) return
  must(batcher.nextSeq > normalCase.orderedUpTo, 'orders anew what the NEW-VIEW decided')
}

function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(`invariant broken: ${otherwise}`)
}
