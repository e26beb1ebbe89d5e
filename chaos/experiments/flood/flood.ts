import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { ClusterFiles } from '../../../client/files.ts'
import { openUdp } from '../../../protocol/udp.ts'
import { workerBeside } from '../../sim/threads.ts'
import type { FloodOrder } from '../../workload/flood/flooder.ts'
import type { FloodKind } from '../../workload/flood/floods.ts'
import type { Load } from '../../workload/load.ts'
import { type Spread, spreadOf } from '../statistics.ts'

/** Before each measurement, for what the last one left to settle. */
const SETTLE_MS = 1_000

/** Two stretches of time: the flooder sends to a port that nobody listens on, and to the replicas. */
export type FloodPair = { readonly deadOps: number; readonly floodedOps: number; readonly errors: number }

export type FloodResult = {
  readonly kind: FloodKind
  readonly perSecond: number
  /** Messages that really left for each replica each second. */
  readonly sentPerSecond: number
  readonly pairs: readonly FloodPair[]
  /** What the others got under the flood, of what they got beside it. */
  readonly share: Spread
}

export type FloodPlan = {
  readonly flooder: ClusterFiles
  readonly load: Load
  readonly kind: FloodKind
  readonly perSecond: number
  readonly pairs: number
  readonly seconds: number
  readonly signal: AbortSignal
  readonly onPair: (pair: FloodPair) => void
}

/** Alternates, so that what else the machine does meets both alike; every second pair begins with the flood. */
export async function measureFlood(plan: FloodPlan): Promise<FloodResult> {
  const deadAddress = await unusedAddress()
  const pairs: FloodPair[] = []
  let sentPerSecond = 0
  for (let i = 0; i < plan.pairs && !plan.signal.aborted; i++) {
    const stretch = (address?: string) => measureStretch(plan, address)
    const first = await stretch(i % 2 === 0 ? deadAddress : undefined)
    const second = await stretch(i % 2 === 0 ? undefined : deadAddress)
    const [dead, flooded] = i % 2 === 0 ? [first, second] : [second, first]
    const pair = { deadOps: dead.ops, floodedOps: flooded.ops, errors: dead.errors + flooded.errors }
    sentPerSecond += flooded.sentPerSecond / plan.pairs
    pairs.push(pair)
    plan.onPair(pair)
  }
  const { kind, perSecond } = plan
  const share = spreadOf(pairs.map(({ deadOps, floodedOps }) => floodedOps / Math.max(deadOps, 1)))
  return { kind, perSecond, sentPerSecond: Math.round(sentPerSecond), pairs, share }
}

async function measureStretch(
  { flooder, load, kind, perSecond, seconds, signal }: FloodPlan,
  deadAddress: string | undefined,
): Promise<{ readonly ops: number; readonly errors: number; readonly sentPerSecond: number }> {
  const worker = new Worker(workerBeside('../../workload/flood/worker', import.meta.url))
  try {
    const startedMs = performance.now()
    worker.postMessage({ files: flooder, kind, perSecond, deadAddress } satisfies FloodOrder)
    await once(worker, 'message')
    await delay(SETTLE_MS, undefined, { signal })
    load.cut()
    const beganMs = performance.now()
    await delay(seconds * 1_000, undefined, { signal })
    const { operations, errors } = load.cut()
    const endedMs = performance.now()
    worker.postMessage('stop')
    const [sent] = (await once(worker, 'message')) as [number]
    const replicas = flooder.cluster.replicas.length
    return {
      ops: Math.round((operations * 1_000) / (endedMs - beganMs)),
      errors,
      sentPerSecond: (sent * 1_000) / replicas / (performance.now() - startedMs),
    }
  } finally {
    await worker.terminate()
  }
}

async function unusedAddress(): Promise<string> {
  const udp = await openUdp({ host: '127.0.0.1', port: 0, onDatagram: () => undefined })
  await udp.close()
  return udp.address
}
