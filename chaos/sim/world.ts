import type { EventQueue } from './event-queue.ts'
import type { Cast } from './genesis.ts'
import type { Happenings } from './happenings.ts'
import type { Network } from './network.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Trace } from './trace.ts'

/** 2026-01-01 in microseconds: what the clocks show when a run begins. */
export const EPOCH_US = 1_767_225_600_000_000

/** What everything in one run shares. */
export type World = {
  readonly plan: Plan
  readonly cast: Cast
  readonly random: Random
  readonly queue: EventQueue
  readonly network: Network
  readonly trace: Trace
  readonly happenings: Happenings
  /** Replicas that lie, or did: nothing that they hold or say is checked any more. */
  readonly liars: ReadonlySet<number>
}
