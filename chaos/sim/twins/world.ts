import { fastSuite } from '../crypto.ts'
import { EventQueue } from '../event-queue.ts'
import { castOf } from '../genesis.ts'
import { Happenings } from '../happenings.ts'
import { drawPlan, type Plan } from '../plan.ts'
import type { Random } from '../random.ts'
import { Trace } from '../trace.ts'
import type { World } from '../world.ts'
import type { Settings } from './settings.ts'

/** What the instances of one run share: a simulation's world without its network. */
export type TwinWorld = Omit<World, 'network'>

/** A round trip takes a few milliseconds, T many times that: views end because they are made to. */
const TIMES: Pick<Plan, 'disk' | 'database'> = {
  disk: { syncUs: 100, slowSyncUs: 100, slow: 0 },
  database: { runUs: 300, batchUs: 50, readUs: 200, lossEveryMs: null, rootUs: 300, stepUs: 100 },
}
const CLUSTER = { statusBusyMs: 40, statusIdleMs: 200, viewChangeTimeoutMs: 25, scrubIntervalMs: 1_000_000 }

export function worldOf(
  random: Random,
  args: { readonly replicas: number; readonly settings: Settings; readonly verbose: boolean },
): TwinWorld {
  const { replicas, settings, verbose } = args
  const { checkpointInterval, inFlightMax } = settings
  const requests = settings.requestCount
  const drawn = drawPlan(random, { seed: 1, replicas, clients: requests, requests, faults: 'none' })
  const cluster = { ...drawn.cluster, ...CLUSTER, checkpointInterval, inFlightMax, batchOperationsMax: 1 }
  const plan = { ...drawn, ...TIMES, cluster }
  return {
    plan,
    random,
    cast: castOf(plan, fastSuite, random),
    queue: new EventQueue(),
    trace: new Trace(verbose),
    happenings: new Happenings(),
    // A twin is two honest replicas of one name.
    liars: new Set(),
  }
}
