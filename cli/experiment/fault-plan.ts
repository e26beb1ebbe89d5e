import { readFile } from 'node:fs/promises'
import { runPlan } from '../../chaos/live/interpreter.ts'
import type { LiveCluster } from '../../chaos/live/live-cluster.ts'
import { parsePlan } from '../../chaos/plan/parse.ts'
import { requireTolerated } from '../../chaos/plan/tolerance.ts'
import { UsageError } from '../failure.ts'

/** Neighbouring runs have neighbouring seeds: no round of one is to draw as a round of another. */
const ROUND_SEED_STEP = 1_000_003

/** A plan's steps, again and again until the iterations are over; what it says of cluster and load is left. */
export type ExperimentFaults = (cluster: LiveCluster, seed: number, signal: AbortSignal) => Promise<void>

/** @throws UsageError @throws PlanError when it would make more than f replicas faulty, crashes of --restarts included */
export async function faultsOf(
  path: string,
  { replicas, restarts }: { readonly replicas: number; readonly restarts: number },
): Promise<ExperimentFaults> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UsageError(`--fault-plan ${path}: cannot be read (${cause.code})`, { cause })
  })
  const plan = parsePlan({ name: path, text }, { replicas })
  requireTolerated(plan)
  if (plan.allowByzantine) {
    throw new UsageError(
      `--fault-plan ${path}: an experiment measures replicas that do not lie; leave allowByzantine out`,
    )
  }
  if (restarts > 0) {
    throw new UsageError('--fault-plan and --restarts exclude each other: put the crashes into the plan')
  }
  return async (cluster, seed, signal) => {
    for (let round = 0; !signal.aborted; round++) {
      const drawn = seed + round * ROUND_SEED_STEP
      const context = {
        cluster,
        seed: drawn,
        signal,
        nowMs: () => performance.now(),
        onFault: () => undefined,
      }
      const { incidents } = await runPlan(plan, context)
      const [incident] = incidents
      if (incident !== undefined) throw new Error(`${path}: ${incident}`)
    }
  }
}
