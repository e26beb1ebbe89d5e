import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import { planCrashes } from '../../chaos/experiments/crash-plan.ts'
import { csvOf } from '../../chaos/experiments/csv.ts'
import { thisMachine } from '../../chaos/experiments/machine.ts'
import { compareResults, describeResult } from '../../chaos/experiments/report.ts'
import {
  type ExperimentResult,
  newResult,
  type RunResult,
  readResult,
} from '../../chaos/experiments/result.ts'
import { rowsOf } from '../../chaos/experiments/rows.ts'
import type { ExperimentOptions } from '../commands/experiment.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { commandLine } from '../invocation.ts'
import type { Scope } from '../scope.ts'
import { grouped, plural } from '../words.ts'
import { type ExperimentFaults, faultsOf } from './fault-plan.ts'
import { oneRun } from './one-run.ts'
import { ProgressLine } from './progress-line.ts'

const STORE = join('.run', 'experiments')
const FILES_COMPARED = 2

export async function experimentIterations(scope: Scope, options: ExperimentOptions): Promise<ExitCode> {
  const { compare = [] } = options
  if (compare.length > FILES_COMPARED) throw new UsageError('--compare takes one file, or two')
  const compared = await Promise.all(
    compare.map(async (path) => ({ name: basename(path), result: await readResult(path) })),
  )
  if (compared.length === FILES_COMPARED) {
    print(options.json === true ? JSON.stringify(compared) : compareResults(compared))
    return EXIT.pass
  }
  const experiment = new Experiment(scope, options)
  // Deferred first, it is done last: after an interruption the clusters are gone when the results are printed.
  scope.defer(async () => {
    if (scope.signal.aborted) await experiment.finish(compared)
  })
  try {
    await experiment.run()
  } catch (error) {
    // Hours of runs are not lost to the last one.
    if (!scope.signal.aborted) await experiment.finish(compared)
    throw error
  }
  return experiment.finish(compared)
}

const print = (text: string): void => void process.stdout.write(`${text}\n`)

type Kind = {
  readonly iterations: number
  readonly restarts: number
  readonly faults: ExperimentFaults | undefined
}

class Experiment {
  readonly #scope: Scope
  readonly #options: ExperimentOptions
  readonly #line = new ProgressLine(process.stderr)
  readonly #startedAt = new Date()
  readonly #runs: RunResult[] = []
  #isInMemory = false
  #isComplete = false
  #isFinished = false

  constructor(scope: Scope, options: ExperimentOptions) {
    this.#scope = scope
    this.#options = options
  }

  async run(): Promise<void> {
    const kinds = await this.#kinds()
    const { runs } = this.#options
    const total = kinds.length * runs
    let number = 0
    for (const kind of kinds) {
      for (let run = 1; run <= runs; run++) {
        if (this.#scope.signal.aborted) return
        number += 1
        await this.#one(kind, { run, label: `run ${number} of ${total}: ${describeKind(kind)}` })
      }
    }
    this.#isComplete = true
  }

  /** Each number of iterations without faults, and with those that were asked for. */
  async #kinds(): Promise<Kind[]> {
    const { iterations, restarts, faultPlan } = this.#options
    const faults = faultPlan === undefined ? undefined : await faultsOf(faultPlan, this.#options)
    for (const count of iterations) requireRoom({ iterations: count, restarts })
    return iterations.flatMap((count) => {
      const plain = { iterations: count, restarts: 0, faults: undefined }
      return restarts > 0 || faults !== undefined ? [plain, { iterations: count, restarts, faults }] : [plain]
    })
  }

  async #one(kind: Kind, { run, label }: { readonly run: number; readonly label: string }): Promise<void> {
    this.#line.update(`${label}: starting a cluster`)
    const startedMs = performance.now()
    const { result, isInMemory } = await oneRun(this.#scope, {
      ...kind,
      options: this.#options,
      run,
      onServing: () => this.#line.update(`${label}: serves after ${elapsed(startedMs)}`),
      onProgress: (completed, perSecond) =>
        this.#line.update(`${label}: ${grouped(completed)} done, ${grouped(perSecond)} iterations/s`),
    })
    this.#isInMemory ||= isInMemory
    this.#runs.push(result)
    const { seconds, viewChanges, stateTransfers, verdict } = result
    this.#line.say(
      `${label}: ${seconds.toFixed(2)} s, ${plural(viewChanges, 'view change')}, ` +
        `${plural(stateTransfers, 'state transfer')}, ${verdict}`,
    )
    for (const why of result.why) this.#line.say(`  ${why}`)
    if (result.directory !== null) this.#line.say(`  its cluster is kept in ${result.directory}`)
  }

  /** Stores and prints what there is. Once. */
  async finish(
    compared: readonly { readonly name: string; readonly result: ExperimentResult }[],
  ): Promise<ExitCode> {
    if (this.#isFinished || this.#runs.length === 0) return EXIT.fail
    this.#isFinished = true
    const result = this.#result()
    const files = await this.#store(result)
    if (this.#options.json === true) print(JSON.stringify({ ...result, rows: rowsOf(result.runs) }))
    else print(describeResult(result))
    if (compared.length > 0 && this.#options.json !== true) {
      print(`\n${compareResults([...compared, { name: basename(files[0] ?? 'this run'), result }])}`)
    }
    this.#line.say(`stored in ${files.join(' and ')}`)
    return this.#runs.every(({ verdict }) => verdict === 'pass') ? EXIT.pass : EXIT.fail
  }

  #result(): ExperimentResult {
    const { replicas, accounts, concurrency, seed, postgres, faultPlan } = this.#options
    const [how = ''] = postgres
    return newResult({
      startedAt: this.#startedAt.toISOString(),
      command: commandLine(),
      machine: thisMachine(),
      settings: {
        ...{ replicas, accounts, concurrency, seed, isInMemory: this.#isInMemory },
        postgres: how.includes('://') ? 'url' : how,
        faultPlan: faultPlan ?? null,
      },
      isComplete: this.#isComplete,
      runs: this.#runs,
    })
  }

  async #store(result: ExperimentResult): Promise<string[]> {
    const stamp = this.#startedAt.toISOString().replaceAll(':', '').slice(0, 'yyyy-mm-ddThhmmss'.length)
    const { out = join(STORE, `iterations-${stamp}.json`) } = this.#options
    const { csv = `${out.slice(0, out.length - extname(out).length)}.csv` } = this.#options
    for (const path of [out, csv]) await mkdir(dirname(path), { recursive: true })
    await writeFile(out, `${JSON.stringify(result, null, 2)}\n`)
    await writeFile(csv, csvOf(rowsOf(result.runs)))
    return [out, csv]
  }
}

function requireRoom(choices: { readonly iterations: number; readonly restarts: number }): void {
  try {
    planCrashes(choices)
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--restarts: ${error.message}`, { cause: error })
    throw error
  }
}

const elapsed = (sinceMs: number): string => `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`

function describeKind({ iterations, restarts, faults }: Kind): string {
  const parts = [
    `${grouped(iterations)} iterations`,
    restarts > 0 ? plural(restarts, 'crash/recover') : '',
    faults === undefined ? '' : 'fault plan',
  ]
  return parts.filter((part) => part !== '').join(', ')
}
