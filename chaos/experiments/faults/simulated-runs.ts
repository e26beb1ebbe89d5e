import { type Answered, inThreads, workerBeside } from '../../sim/threads.ts'
import type { FaultRun } from './result.ts'
import type { SimJob } from './sim-run.ts'

/** Each job's run, as they are ready; a run is the same in any thread. */
export const simulatedRuns = (jobs: readonly SimJob[], workers: number): AsyncGenerator<Answered<FaultRun>> =>
  inThreads({
    worker: workerBeside('sim-worker', import.meta.url),
    shares: jobs,
    threads: Math.min(workers, jobs.length),
  })
