import { besides, type Numbered, overThreads } from '../../sim/threads.ts'
import type { FaultRun } from './result.ts'
import type { SimJob } from './sim-run.ts'

/** Each job's run, as they are ready; a run is the same in any thread. */
export const simulatedRuns = (jobs: readonly SimJob[], workers: number): AsyncGenerator<Numbered<FaultRun>> =>
  overThreads({ worker: besides(import.meta.url, 'sim-worker'), jobs, workers })
