import type { ReplicaReport } from '../protocol/inspection.ts'

/** What a replica does now; a view change and a fetched state pass by themselves. */
export function roleOf(report: ReplicaReport): string {
  const { replica, primary, view, highestViewChange, isAmnesiac, transfer } = report
  if (isAmnesiac) return 'recovering votes'
  if (transfer !== null) return `fetching ${transfer.seq}`
  if (highestViewChange > view) return `changing to ${highestViewChange}`
  return replica === primary ? 'primary' : 'backup'
}
