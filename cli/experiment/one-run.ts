import { check } from '../../chaos/check/check.ts'
import { checkpointIntervalFor } from '../../chaos/experiments/crash-plan.ts'
import { runIterations } from '../../chaos/experiments/iteration-run.ts'
import type { Judgement } from '../../chaos/experiments/judge.ts'
import type { RunResult } from '../../chaos/experiments/result.ts'
import { Watch } from '../../chaos/experiments/watch.ts'
import { connect } from '../../client/client.ts'
import { DEFAULT_PARAMETERS } from '../../protocol/config.ts'
import { sourcesOfCluster } from '../check/sources.ts'
import type { ExperimentOptions } from '../commands/experiment.ts'
import { Scope } from '../scope.ts'
import type { ExperimentFaults } from './fault-plan.ts'
import { type Site, serve } from './site.ts'

const SETTLE_MS_MAX = 10_000

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
  let keptAt: string | null = null
  const { options, iterations, run, faults } = parts
  const seed = options.seed + run - 1
  try {
    return await scope.run(async () => {
      const site = await serve(scope, {
        options,
        checkpointInterval: checkpointIntervalOf({ options, iterations }),
        keep: () => keptAt !== null && !outer.signal.aborted,
        seed,
        faults,
      })
      parts.onServing()
      keptAt = site.directory
      const result = await measure(scope, { site, seed, signal: outer.signal, parts })
      if (result.verdict === 'pass') keptAt = null
      return { result: { ...result, directory: keptAt }, isInMemory: site.isInMemory }
    })
  } catch (error) {
    if (keptAt !== null && !outer.signal.aborted)
      process.stderr.write(`the cluster of this run is kept in ${keptAt}\n`)
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
    readonly site: Site
    readonly seed: number
    readonly signal: AbortSignal
    readonly parts: OneRun
  },
): Promise<RunResult> {
  const { site, seed, signal, parts } = args
  const { iterations, restarts, run, options, onProgress } = parts
  const bank = await connect({ cluster: site.files.own })
  scope.defer(() => bank.close())
  const startedMs = performance.now()
  const perSecond = (completed: number) => Math.round((completed * 1_000) / (performance.now() - startedMs))
  return runIterations(
    { iterations, restarts, concurrency: options.concurrency, seed, run },
    {
      ...site,
      bank,
      watch: Watch.of(site.files.observing),
      judge: () => judge(scope, site.directory),
      onProgress: (completed) => onProgress(completed, perSecond(completed)),
      signal,
    },
  )
}

/** The checker's word over vote logs and databases. */
async function judge(scope: Scope, directory: string): Promise<Judgement> {
  const { sources } = await sourcesOfCluster(scope, { directory, waitMs: SETTLE_MS_MAX, history: null })
  const { verdict, properties } = await check({
    ...sources,
    expected: { logs: true, wholeLogs: true, history: false },
  })
  const why = properties.flatMap(({ property, findings, notChecked, isExpected, verdict: one }) => [
    ...findings.map(({ what }) => `${property}: ${what}`),
    ...(one === 'unknown' && isExpected ? notChecked.map((text) => `${property}: ${text}`) : []),
  ])
  return { verdict, why }
}
