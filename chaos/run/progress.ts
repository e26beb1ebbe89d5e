import type { ReplicaReport } from '../../protocol/inspection.ts'
import type { CallCounts } from '../workload/recorded-load.ts'

export type RunPhase =
  | 'starting'
  | 'load alone'
  | 'striking'
  | 'healing'
  | 'settling'
  | 'collecting'
  | 'checking'

/** What a run does now, for whoever watches. */
export type RunProgress = {
  readonly name: string
  readonly seed: number
  readonly phase: RunPhase
  /** Since the load began; and how long the plan takes. */
  readonly elapsedMs: number
  readonly plannedMs: number
  /** The highest that a replica entered. */
  readonly view: number
  readonly counts: CallCounts
  /** Of the time since the last look. */
  readonly operationsPerSecond: number
  /** In force now, each in words. */
  readonly faults: readonly string[]
  /** `report` is null while it does not answer. */
  readonly replicas: readonly {
    readonly id: number
    readonly isRunning: boolean
    readonly report: ReplicaReport | null
  }[]
}
