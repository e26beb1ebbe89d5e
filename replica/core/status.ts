import type { BodiesWanted, Status } from '../../protocol/messages.ts'
import type { ReplicaId, View } from '../../protocol/types.ts'
import { bitmapOf, setBit } from './bitmap.ts'
import type { Checkpoints } from './checkpoint.ts'
import type { Execution } from './execution.ts'
import type { SlotLog } from './log.ts'

/** What STATUS says of views, and where what it shows to be missing of them is sent again [VC5]. */
export type ViewFacts = {
  /** Entered. */
  readonly view: View
  readonly highestViewChange: View
  /** Whose VIEW-CHANGE for highestViewChange is here. */
  readonly viewChangesHere: readonly ReplicaId[]
  /** A VIEW-CHANGE is out, and its view not entered. */
  readonly isPending: boolean
  /** [D5] */
  readonly isVoting: boolean
  /** Sends what a peer lacks. */
  answer(peer: ReplicaId, status: Status): void
}

/** [CP5] What this replica has, for its peers to see what it lacks. */
export function statusOf(
  parts: {
    readonly log: SlotLog
    readonly execution: Execution
    readonly checkpoints: Checkpoints
    readonly views: ViewFacts
    readonly source: { readonly servedFrom: Status['servedFrom'] }
  },
  wants: { readonly bodies: BodiesWanted | null; readonly wordsWanted: boolean },
): Status {
  const { log, execution, checkpoints, views, source } = parts
  const { lowWaterMark, window } = log
  const accepted = bitmapOf(window)
  const prepared = bitmapOf(window)
  const committed = bitmapOf(window)
  for (const slot of log.all()) {
    const bit = slot.seq - lowWaterMark - 1
    if (slot.voting.accepted !== null) setBit(accepted, bit)
    if (slot.voting.preparedAt !== null) setBit(prepared, bit)
    if (slot.committed !== null) setBit(committed, bit)
  }
  return {
    type: 'status',
    view: views.view,
    highestViewChange: views.highestViewChange,
    viewChanges: views.viewChangesHere,
    lowWaterMark,
    lastExecuted: execution.lastExecuted,
    servedFrom: source.servedFrom,
    isAmnesiac: !views.isVoting,
    accepted,
    prepared,
    committed,
    checkpoint: checkpoints.newestOwn,
    ...wants,
  }
}
