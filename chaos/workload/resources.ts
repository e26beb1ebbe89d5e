import type { ReplicaReport } from '../../protocol/inspection.ts'
import { cpuOfTreeMs } from './process-cpu.ts'

/** What the processes of a cluster, and this one, have used and done so far. */
export type Resources = {
  readonly clientCpuMs: number
  readonly replicas: ReadonlyMap<
    number,
    {
      readonly pid: number
      readonly cpuMs: number
      readonly rssBytes: number
      readonly batches: number
      readonly operations: number
      /** Undefined where the database is no process of this machine that /proc knows. */
      readonly postgresCpuMs: number | undefined
    }
  >
}

export async function resourcesNow(reports: Iterable<ReplicaReport>): Promise<Resources> {
  const replicas = await Promise.all(
    [...reports].map(async ({ replica, pid, cpu, memory, executed, database }) => {
      const postgresCpuMs = database.pid === null ? undefined : await cpuOfTreeMs(database.pid)
      const used = { pid, cpuMs: cpu.userMs + cpu.systemMs, rssBytes: memory.rssBytes, postgresCpuMs }
      return [replica, { ...used, ...executed }] as const
    }),
  )
  const { user, system } = process.cpuUsage()
  const inOrder = replicas.sort(([a], [b]) => a - b)
  return { clientCpuMs: (user + system) / 1_000, replicas: new Map(inOrder) }
}

export type ProcessCost = { readonly process: string; readonly cpuUsPerOperation: number }

/** CPU per operation by process between two looks. Processes that were replaced meanwhile are left out. */
export function costsBetween(before: Resources, after: Resources, operations: number): ProcessCost[] {
  const perOperation = (ms: number) => (ms * 1_000) / Math.max(1, operations)
  const replicas: ProcessCost[] = []
  const databases: ProcessCost[] = []
  for (const [id, now] of after.replicas) {
    const then = before.replicas.get(id)
    if (then === undefined || then.pid !== now.pid) continue
    replicas.push({ process: `replica ${id}`, cpuUsPerOperation: perOperation(now.cpuMs - then.cpuMs) })
    if (now.postgresCpuMs === undefined || then.postgresCpuMs === undefined) continue
    const cpuUsPerOperation = perOperation(now.postgresCpuMs - then.postgresCpuMs)
    databases.push({ process: `postgres ${id}`, cpuUsPerOperation })
  }
  const client = {
    process: 'client',
    cpuUsPerOperation: perOperation(after.clientCpuMs - before.clientCpuMs),
  }
  return [...replicas, ...databases, client]
}

/** Operations per executed batch, over the replicas that ran all the time; 0 when none executed anything. */
export function meanBatch(before: Resources, after: Resources): number {
  let batches = 0
  let operations = 0
  for (const [id, now] of after.replicas) {
    const then = before.replicas.get(id)
    if (then === undefined || then.pid !== now.pid) continue
    batches += now.batches - then.batches
    operations += now.operations - then.operations
  }
  return batches === 0 ? 0 : operations / batches
}
