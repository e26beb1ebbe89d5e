import type { ReplicaReport } from '../../../protocol/inspection.ts'

/** A replica in good health, but for what is given. */
export const reportOf = (replica: number, fields: Partial<ReplicaReport> = {}): ReplicaReport => ({
  replica,
  pid: 100 + replica,
  upMs: 1_000,
  view: 0,
  highestViewChange: 0,
  primary: (fields.view ?? 0) % 4,
  lastExecuted: 10,
  chain: '',
  lowWaterMark: 0,
  peers: [],
  isAmnesiac: false,
  accused: [],
  transfer: null,
  viewChanges: { started: 0, entered: 0 },
  database: { url: '', connected: true, pid: null },
  committed: {},
  executed: { batches: 0, operations: 0 },
  cpu: { userMs: 0, systemMs: 0 },
  memory: { rssBytes: 0, heapUsedBytes: 0 },
  sent: {},
  counters: {},
  ...fields,
})

export const reportsOf = (...reports: readonly ReplicaReport[]): Map<number, ReplicaReport> =>
  new Map(reports.map((report) => [report.replica, report]))
