import type { LocalCluster } from '../../replica/local-cluster.ts'
import { UsageError } from '../failure.ts'

/** Strikes a cluster until the signal, and has healed it when the promise resolves. */
export type ExperimentFaults = (cluster: LocalCluster, signal: AbortSignal) => Promise<void>

/** @throws UsageError */
export async function faultsOf(path: string): Promise<ExperimentFaults> {
  throw new UsageError(`--fault-plan ${path}: this version runs no fault plans; --restarts crashes replicas`)
}
