import type { CampaignOptions, SimReport } from './simulate.ts'
import { inThreads, workerBeside } from './threads.ts'

/** Seeds that one worker takes at a time. */
const SHARE = 4

export type ParallelOptions = Omit<CampaignOptions, 'sabotage'> & { readonly workers: number }
export type Share = Omit<CampaignOptions, 'sabotage'>

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
  workers: number,
): AsyncGenerator<{ readonly index: number; readonly report: SimReport }> {
  const tasks = campaigns.flatMap((campaign, index) => sharesOf(campaign).map((share) => ({ index, share })))
  const answers = inThreads<Share, readonly SimReport[]>({
    worker: workerBeside('worker', import.meta.url),
    shares: tasks.map(({ share }) => share),
    threads: Math.min(workers, tasks.length),
  })
  for await (const { at, answer } of answers) {
    const index = tasks[at]?.index ?? 0
    for (const report of answer) yield { index, report }
  }
}

function sharesOf({ fromSeed, runs, ...options }: Share): Share[] {
  return Array.from({ length: Math.ceil(runs / SHARE) }, (_, index) => ({
    ...options,
    fromSeed: fromSeed + index * SHARE,
    runs: Math.min(SHARE, runs - index * SHARE),
  }))
}
