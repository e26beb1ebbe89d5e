import type { ReplicaReport } from '../../protocol/inspection.ts'
import type { LiveCluster } from './live-cluster.ts'
import type { LiveDatabase } from './live-database.ts'
import type { LiveNetwork } from './live-network.ts'

/** What faults are played on: a LiveCluster, or a test's. */
export type StruckCluster = Pick<
  LiveCluster,
  | 'replicas'
  | 'running'
  | 'startReplica'
  | 'kill'
  | 'terminate'
  | 'pause'
  | 'resume'
  | 'losePower'
  | 'wipeVotes'
  | 'wipeDatabase'
  | 'control'
  | 'reports'
> & {
  readonly network: Pick<LiveNetwork, 'add' | 'heal'>
  database(
    id: number,
  ): Pick<
    LiveDatabase,
    'slow' | 'cut' | 'refuse' | 'open' | 'killServer' | 'pauseServer' | 'resumeServer' | 'query'
  >
}

/** It votes, executes, and has its database. */
export const isWell = ({ isAmnesiac, transfer, database }: ReplicaReport): boolean =>
  !isAmnesiac && transfer === null && database.connected

/** Whoever leads the highest view that a replica entered. */
export function primaryOf(reports: Iterable<ReplicaReport>): number | undefined {
  const newest = [...reports].sort((a, b) => b.view - a.view)[0]
  return newest?.primary
}

export const highestExecuted = (reports: Iterable<ReplicaReport>): number =>
  Math.max(0, ...[...reports].map(({ lastExecuted }) => lastExecuted))
