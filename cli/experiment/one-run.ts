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
import { type Scope, withInnerScope } from '../scope.ts'
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
  let keptAt: string | null = null
  const { options, iterations, run, faults } = parts
  const seed = options.seed + run - 1
  return withInnerScope(outer, async (scope) => {
    try {
      const site = await serve(scope, {
        options,
        checkpointInterval: checkpointIntervalOf({ options, iterations }),
        keep: () => keptAt !== null && !scope.signal.aborted,
        seed,
        faults,
      })
      parts.onServing()
      keptAt = site.directory
      const result = await measure(scope, { site, seed, parts })
      if (result.verdict === 'pass') keptAt = null
      return { result: { ...result, directory: keptAt }, isInMemory: site.isInMemory }
    } catch (error) {
      if (keptAt !== null && !scope.signal.aborted)
        process.stderr.write(`the cluster of this run is kept in ${keptAt}\n`)
      throw error
    }
  })
}

/** The same for all runs that are to be compared, so that crashes are the only difference. */
function checkpointIntervalOf({ options, iterations }: Pick<OneRun, 'options' | 'iterations'>): number {
  const { checkpointInterval, restarts, concurrency } = options
  if (checkpointInterval !== undefined) return checkpointInterval
  return restarts > 0
    ? checkpointIntervalFor({ iterations, concurrency })
    : DEFAULT_PARAMETERS.checkpointInterval
}

async function measure(
  scope: Scope,
  { site, seed, parts }: { readonly site: Site; readonly seed: number; readonly parts: OneRun },
): Promise<RunResult> {
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
      signal: scope.signal,
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
