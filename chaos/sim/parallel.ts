import { Worker } from 'node:worker_threads'
import type { CampaignOptions, SimReport } from './simulate.ts'

/** Seeds that one worker takes at a time. */
const SHARE = 4

export type ParallelOptions = Omit<CampaignOptions, 'sabotage'> & { readonly workers: number }
export type Share = Omit<CampaignOptions, 'sabotage'>

/** Beside this file, under the same name: TypeScript in a checkout, JavaScript in a package. */
const WORKER = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/**
 * `campaign` over several threads. A run is the same in any thread; reports come as they are ready, so that their
 * order is not that of the seeds.
 */
export async function* campaignInParallel(options: ParallelOptions): AsyncGenerator<SimReport> {
  const { workers: count, ...rest } = options
  const shares = sharesOf(rest)
  const arrived: SimReport[] = []
  let wake = Promise.withResolvers<void>()
  let busy = 0
  let failure: unknown
  const workers = Array.from({ length: Math.max(1, Math.min(count, shares.length)) }, () => {
    const worker = new Worker(WORKER)
    const next = () => {
      const share = shares.shift()
      if (share !== undefined) worker.postMessage(share)
      else busy -= 1
    }
    worker.on('message', (reports: SimReport[]) => {
      arrived.push(...reports)
      next()
      wake.resolve()
    })
    worker.on('error', (error) => {
      failure = error
      wake.resolve()
    })
    busy += 1
    next()
    return worker
  })
  try {
    while (busy > 0 || arrived.length > 0) {
      if (failure !== undefined) throw failure
      yield* arrived.splice(0)
      if (busy === 0) continue
      await wake.promise
      wake = Promise.withResolvers<void>()
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

function sharesOf({ fromSeed, runs, ...options }: Share): Share[] {
  return Array.from({ length: Math.ceil(runs / SHARE) }, (_, index) => ({
    ...options,
    fromSeed: fromSeed + index * SHARE,
    runs: Math.min(SHARE, runs - index * SHARE),
  }))
}
