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
  const { workers, ...rest } = options
  for await (const { report } of campaignsInParallel([rest], workers)) yield report
}

/** Several of them on the same threads; `index`: of which one a report is. */
export async function* campaignsInParallel(
  campaigns: readonly Share[],
  count: number,
): AsyncGenerator<{ readonly index: number; readonly report: SimReport }> {
  const shares = campaigns.flatMap((campaign, index) => sharesOf(campaign).map((share) => ({ index, share })))
  const arrived: { readonly index: number; readonly report: SimReport }[] = []
  let wake = Promise.withResolvers<void>()
  let busy = 0
  let failure: unknown
  const workers = Array.from({ length: Math.max(1, Math.min(count, shares.length)) }, () => {
    const worker = new Worker(WORKER)
    let index = 0
    const next = () => {
      const task = shares.shift()
      if (task === undefined) busy -= 1
      else {
        index = task.index
        worker.postMessage(task.share)
      }
    }
    worker.on('message', (reports: SimReport[]) => {
      for (const report of reports) arrived.push({ index, report })
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
