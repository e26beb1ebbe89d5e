import type { Bank } from '../../client/client.ts'
import type { Genesis } from '../../protocol/config.ts'
import { Random } from '../sim/random.ts'
import type { Histogram } from '../workload/histogram.ts'
import { type LoopResult, runClosedLoop } from './closed-loop.ts'
import { planCrashes } from './crash-plan.ts'
import { type Crash, Crashes, type CrashTarget } from './crashes.ts'
import { drawIterations } from './iterations.ts'
import type { Judgement } from './judge.ts'
import { Progress } from './progress.ts'
import type { Percentiles, RunResult } from './result.ts'
import { unrestOf, type Watch } from './watch.ts'

/** A poll costs a handshake with each replica: seldom, but often enough that a process's counts don't die with it. */
const LOOK_MS = 1_000
const QUIESCENCE_MS_MAX = 60_000

export type RunChoices = {
  readonly iterations: number
  readonly restarts: number
  readonly concurrency: number
  readonly seed: number
  /** Which of the runs of its kind, from 1. */
  readonly run: number
}

export type RunSite = {
  readonly directory: string
  readonly genesis: Genesis
  readonly target: CrashTarget
  /** The client under measurement. */
  readonly bank: Pick<Bank, 'submit' | 'balance'>
  readonly watch: Watch
  readonly judge: (cluster: { readonly directory: string; readonly genesis: Genesis }) => Promise<Judgement>
  /** Other faults than crashes, from the first iteration until the signal, by when they have to be healed. */
  readonly faults?: ((signal: AbortSignal) => Promise<void>) | undefined
  readonly onProgress?: ((completed: number) => void) | undefined
  readonly signal: AbortSignal
}

/** One run of the experiment on a fresh cluster that serves. Rejects when the cluster fails, or with the signal's reason. */
export async function runIterations(choices: RunChoices, site: RunSite): Promise<RunResult> {
  const { loop, crashes } = await loopUnderFaults(choices, site)
  const unrest = await untilAtRest(site)
  const judgement: Judgement =
    unrest.length > 0 ? { verdict: 'unknown', why: unrest } : await site.judge(site)
  const { viewChanges, stateTransfers, batchesCaughtUp } = site.watch.counts
  const { reads, writes, refused, retried, unanswered } = loop
  return {
    ...choices,
    hasFaultPlan: site.faults !== undefined,
    checkpointInterval: site.genesis.parameters.checkpointInterval,
    ...{ reads, writes, refused, retried, unanswered },
    seconds: loop.ms / 1_000,
    heldSeconds: loop.heldMs / 1_000,
    ...{ viewChanges, crashes, stateTransfers, batchesCaughtUp },
    latencyMs: { read: percentilesOf(loop.readLatencyUs), write: percentilesOf(loop.writeLatencyUs) },
    ...judgement,
    directory: null,
  }
}

async function loopUnderFaults(
  { iterations, restarts, concurrency, seed }: RunChoices,
  { genesis, target, bank, watch, faults, onProgress, signal }: RunSite,
): Promise<{ readonly loop: LoopResult; readonly crashes: readonly Crash[] }> {
  const accounts = genesis.accounts.map(({ id }) => id)
  const drawn = drawIterations(iterations, { random: new Random(seed), accounts })
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const loopEnded = new AbortController()
  const progress = new Progress()
  const plan = planCrashes({ iterations, restarts })
  const parts = { target, watch, progress, random: new Random(seed + 1), signal: stop }
  const crashes = new Crashes(plan, parts)
  await watch.look()
  const report = setInterval(() => onProgress?.(progress.completed), LOOK_MS)
  const looks =
    restarts > 0 || faults !== undefined ? keepLooking(watch, loopEnded.signal) : Promise.resolve()
  const hold = (iteration: number) => crashes.hold(iteration)
  const looping = runClosedLoop(bank, drawn, { concurrency, progress, signal: stop, hold }).finally(() =>
    loopEnded.abort(),
  )
  const works = [looping, crashes.run(), faults?.(AbortSignal.any([stop, loopEnded.signal]))] as const
  for (const work of [...works, looks]) work?.catch((error: unknown) => failed.abort(error))
  try {
    const [loop, crashed] = await Promise.all(works)
    return { loop, crashes: crashed }
  } finally {
    clearInterval(report)
    loopEnded.abort()
    // All have ended before anybody takes the cluster away.
    await Promise.allSettled([...works, looks])
  }
}

async function keepLooking(watch: Watch, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await watch.look()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, LOOK_MS)
    signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    clearTimeout(timer)
  }
}

/** @returns why they are not; empty when all replicas are at the same state, have nothing to do, and say so twice */
async function untilAtRest({ target, watch, signal }: RunSite): Promise<string[]> {
  let why: string[] = ['nobody looked']
  let restsAt: number | undefined
  await watch.until(
    (reports) => {
      why = unrestOf(reports, target.replicas)
      const at = reports.get(0)?.lastExecuted
      const isStill = why.length === 0 && at === restsAt
      restsAt = why.length === 0 ? at : undefined
      return isStill
    },
    { withinMs: QUIESCENCE_MS_MAX, signal },
  )
  return why
}

function percentilesOf(latencyUs: Histogram): Percentiles {
  const ms = (share: number) => Math.round(latencyUs.quantile(share)) / 1_000
  return { p50: ms(0.5), p95: ms(0.95), p99: ms(0.99), max: latencyUs.max / 1_000 }
}
