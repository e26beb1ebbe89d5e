import { redactUrl } from '../../db/provision/url.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import type { ReplicaCore } from '../core/core.ts'
import type { ReplicaDatabase } from './database.ts'
import type { Meters } from './meters.ts'

/** What a replica says of itself to whoever may ask. */
export function reportOf(args: {
  readonly replica: number
  readonly startedMs: number
  readonly position: ReplicaCore['position']
  readonly peers: readonly number[]
  readonly database: ReplicaDatabase
  readonly databaseConnected: boolean
  readonly evidence: ReplicaReport['accused']
  readonly meters: Meters
  readonly channelCounters: Readonly<Record<string, number>>
}): ReplicaReport {
  const { position, database, meters } = args
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed } = process.memoryUsage()
  return {
    replica: args.replica,
    pid: process.pid,
    upMs: Math.round(performance.now() - args.startedMs),
    view: position.view,
    highestViewChange: position.highestViewChange,
    primary: position.primary,
    lastExecuted: position.lastExecuted,
    chain: position.chain,
    lowWaterMark: position.lowWaterMark,
    peers: [...args.peers],
    isAmnesiac: position.isAmnesiac,
    accused: args.evidence,
    transfer: position.transfer === null ? null : { seq: position.transfer },
    viewChanges: { ...meters.viewChanges },
    database: {
      url: redactUrl(database.url),
      connected: args.databaseConnected,
      pid: database.pid,
    },
    committed: meters.committed,
    executed: { batches: meters.batches, operations: meters.operations },
    cpu: { userMs: user / 1000, systemMs: system / 1000 },
    memory: { rssBytes: rss, heapUsedBytes: heapUsed },
    sent: { ...meters.sent },
    counters: { ...args.channelCounters, ...meters.counters },
  }
}
