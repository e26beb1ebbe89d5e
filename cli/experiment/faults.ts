import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'
import { type Cell, cellsOf, type Settings } from '../../chaos/experiments/faults/choices.ts'
import { faultsCsvOf } from '../../chaos/experiments/faults/csv.ts'
import { describeFaults, failuresWithinBound } from '../../chaos/experiments/faults/report.ts'
import type { FaultRun, FaultsResult } from '../../chaos/experiments/faults/result.ts'
import { faultRowsOf } from '../../chaos/experiments/faults/rows.ts'
import type { SimJob } from '../../chaos/experiments/faults/sim-run.ts'
import { simulatedRuns } from '../../chaos/experiments/faults/simulated-runs.ts'
import { thisMachine } from '../../chaos/experiments/machine.ts'
import type { Answered } from '../../chaos/sim/threads.ts'
import { readBehaviours } from '../byzantine.ts'
import type { FaultsOptions } from '../commands/experiment-faults.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { commandLine } from '../invocation.ts'
import type { Scope } from '../scope.ts'
import { grouped } from '../words.ts'
import { runLive } from './faults-live.ts'
import { ProgressLine } from './progress-line.ts'

/** More processes than that share this machine's cores measure the machine. */
const REAL_SIZES = [4, 7]
const STORE = join('.run', 'experiments')

export async function experimentFaults(scope: Scope, options: FaultsOptions): Promise<ExitCode> {
  const jobs = jobsOf(options)
  const experiment = new FaultsExperiment(options)
  // After an interruption what there is gets printed and stored.
  scope.defer(async () => {
    if (scope.signal.aborted) await experiment.finish({ isComplete: false })
  })
  await experiment.run(jobs, scope)
  return experiment.finish({ isComplete: true })
}

/** @throws UsageError */
function jobsOf(options: FaultsOptions): SimJob[] {
  const { replicas, byzantine, runs, seed, runtime } = options
  if (runtime === 'real' && replicas.some((n) => !REAL_SIZES.includes(n))) {
    throw new UsageError(`--runtime real takes --replicas ${REAL_SIZES.join(' and ')}: give 4, 7 or 4,7`)
  }
  for (const text of byzantine) {
    if (readBehaviours(text, { replicas: Math.min(...replicas) }).length === 0) {
      throw new UsageError('--byzantine: says nothing that they do')
    }
  }
  const cells = cellsOf(options)
  if (cells.length === 0) {
    throw new UsageError('--malicious: leaves no correct replica in any cluster of --replicas')
  }
  const settings = settingsOf(options)
  return cells.flatMap((cell: Cell) =>
    Array.from({ length: runs }, (_, i) => ({ cell, settings, seed: seed + i, run: i + 1 })),
  )
}

const settingsOf = (options: FaultsOptions): Settings => ({
  delayMs: options.delay,
  writes: options.writes,
  clients: options.clients,
  deadlineMs: options.deadline * 1_000,
  viewChangeTimeoutMs: options.viewChangeTimeout,
})

class FaultsExperiment {
  readonly #options: FaultsOptions
  readonly #line = new ProgressLine(process.stderr)
  readonly #startedAt = new Date()
  /** By the place of the job: runs end in any order. */
  readonly #runs = new Map<number, FaultRun>()
  #isFinished = false

  constructor(options: FaultsOptions) {
    this.#options = options
  }

  async run(jobs: readonly SimJob[], scope: Scope): Promise<void> {
    const runs =
      this.#options.runtime === 'sim' ? simulatedRuns(jobs, this.#options.workers) : liveRuns(jobs, scope)
    for await (const { at, answer: result } of runs) {
      if (scope.signal.aborted) return
      this.#runs.set(at, result)
      this.#line.update(`${grouped(this.#runs.size)} of ${grouped(jobs.length)} runs`)
    }
  }

  /** Stores and prints what there is. Once. */
  async finish({ isComplete }: { readonly isComplete: boolean }): Promise<ExitCode> {
    if (this.#isFinished || this.#runs.size === 0) return EXIT.fail
    this.#isFinished = true
    const runs = [...this.#runs].sort(([a], [b]) => a - b).map(([, run]) => run)
    const result = this.#result({ runs, isComplete })
    const files = await this.#store(result)
    const text = this.#options.json === true ? JSON.stringify(result) : describeFaults(result)
    process.stdout.write(`${text}\n`)
    this.#line.say(`stored in ${files.join(' and ')}`)
    return failuresWithinBound(runs).length === 0 ? EXIT.pass : EXIT.fail
  }

  #result(parts: Pick<FaultsResult, 'runs' | 'isComplete'>): FaultsResult {
    const { runtime, runs, seed } = this.#options
    return {
      format: 'pbft-experiment-faults',
      version: 1,
      startedAt: this.#startedAt.toISOString(),
      command: commandLine(),
      machine: thisMachine(),
      settings: { ...settingsOf(this.#options), runtime, runs, seed },
      ...parts,
    }
  }

  async #store(result: FaultsResult): Promise<string[]> {
    const stamp = this.#startedAt.toISOString().replaceAll(':', '').slice(0, 'yyyy-mm-ddThhmmss'.length)
    const { plot, out = join(STORE, `faults-${stamp}.json`) } = this.#options
    const { csv = `${out.slice(0, out.length - extname(out).length)}.csv` } = this.#options
    const rows = faultRowsOf(result.runs)
    await write(out, `${JSON.stringify(result, null, 2)}\n`)
    await write(csv, faultsCsvOf(rows))
    if (plot === undefined) return [out, csv]
    const { plotOf } = await import('../../chaos/experiments/faults/plot.ts')
    await write(plot, plotOf(rows))
    return [out, csv, plot]
  }
}

/** One after another: they share the machine. */
async function* liveRuns(jobs: readonly SimJob[], scope: Scope): AsyncGenerator<Answered<FaultRun>> {
  for (const [at, job] of jobs.entries()) {
    if (scope.signal.aborted) return
    yield { at, answer: await runLive(scope, job) }
  }
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
