import { checkpointIntervalFor } from '../../chaos/experiments/crash-plan.ts'
import { runIterations } from '../../chaos/experiments/iteration-run.ts'
import { judge } from '../../chaos/experiments/judge.ts'
import type { RunResult } from '../../chaos/experiments/result.ts'
import { Watch } from '../../chaos/experiments/watch.ts'
import { connect } from '../../client/client.ts'
import { DEFAULT_PARAMETERS } from '../../protocol/config.ts'
import type { LocalCluster } from '../../replica/local-cluster.ts'
import { claimKeys } from '../client-key.ts'
import type { ExperimentOptions } from '../commands/experiment.ts'
import { Scope } from '../scope.ts'
import { makeTemporaryCluster } from '../temporary-cluster.ts'
import type { ExperimentFaults } from './fault-plan.ts'

export type OneRun = {
  readonly options: ExperimentOptions
  readonly iterations: number
  readonly restarts: number
  readonly faults: ExperimentFaults | undefined
  /** From 1. */
  readonly run: number
  readonly onServing: () => void
  readonly onProgress: (completed: number, iterationsPerSecond: number) => void
}

/** One run on a cluster of its own, which is gone when this returns, unless the run did not pass. */
export async function oneRun(
  outer: Scope,
  parts: OneRun,
): Promise<{ readonly result: RunResult; readonly isInMemory: boolean }> {
  const scope = new Scope()
  let closing: Promise<unknown[]> | undefined
  // Two who close at the same time would do so in any order: files before the processes that use them.
  const close = () => {
    closing ??= scope.close()
    return closing
  }
  outer.defer(async () => {
    // What went wrong is told once.
    if (closing === undefined) throwFirst(await close())
    else await closing
  })
  let isKept = false
  const { options, iterations } = parts
  const { cluster, directory, isInMemory } = await makeTemporaryCluster(scope, {
    ...options,
    name: 'experiment',
    checkpointInterval: checkpointIntervalOf({ options, iterations }),
    keep: () => isKept && !outer.signal.aborted,
  })
  try {
    await cluster.start()
    parts.onServing()
    isKept = true
    const result = await measure(scope, { cluster, directory, signal: outer.signal, parts })
    isKept = result.verdict !== 'pass'
    return { result: { ...result, directory: isKept ? directory : null }, isInMemory }
  } catch (error) {
    if (isKept && !outer.signal.aborted)
      process.stderr.write(`the cluster of this run is kept in ${directory}\n`)
    throw error
  } finally {
    throwFirst(await close())
  }
}

/** The same for all runs that are to be compared, so that crashes are the only difference. */
function checkpointIntervalOf({ options, iterations }: Pick<OneRun, 'options' | 'iterations'>): number {
  const { checkpointInterval, restarts, concurrency } = options
  if (checkpointInterval !== undefined) return checkpointInterval
  return restarts > 0
    ? checkpointIntervalFor({ iterations, concurrency })
    : DEFAULT_PARAMETERS.checkpointInterval
}

function throwFirst([failure]: readonly unknown[]): void {
  if (failure !== undefined) throw failure
}

async function measure(
  scope: Scope,
  args: {
    readonly cluster: LocalCluster
    readonly directory: string
    readonly signal: AbortSignal
    readonly parts: OneRun
  },
): Promise<RunResult> {
  const { cluster, directory, signal, parts } = args
  const { iterations, restarts, run, options, faults, onProgress } = parts
  const [own, observing] = await claimKeys(directory, 2)
  if (own === undefined || observing === undefined) throw new Error('two keys were asked for')
  scope.defer(() => own.release())
  scope.defer(() => observing.release())
  const bank = await connect({ cluster: own.files })
  scope.defer(() => bank.close())
  const startedMs = performance.now()
  const perSecond = (completed: number) => Math.round((completed * 1_000) / (performance.now() - startedMs))
  const seed = options.seed + run - 1
  return runIterations(
    { iterations, restarts, concurrency: options.concurrency, seed, run },
    {
      directory,
      genesis: cluster.genesis,
      target: {
        replicas: cluster.genesis.replicas.length,
        killReplica: (id) => cluster.killReplica(id),
        startReplica: (id) => cluster.startReplica(id),
      },
      bank,
      watch: Watch.of(observing.files),
      judge,
      faults: faults === undefined ? undefined : (until) => faults(cluster, until),
      onProgress: (completed) => onProgress(completed, perSecond(completed)),
      signal,
    },
  )
}
