import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseScenario } from '../../chaos/scenario/file/parse.ts'
import { ScenarioError } from '../../chaos/scenario/file/problem.ts'
import { ScenarioCluster } from '../../chaos/scenario/real/cluster.ts'
import { RealStage } from '../../chaos/scenario/real/real-stage.ts'
import { type ScenarioResult, ScenarioRun } from '../../chaos/scenario/run-scenario.ts'
import { REPLICAS, type Scenario } from '../../chaos/scenario/scenario.ts'
import { SimStage } from '../../chaos/scenario/sim/sim-stage.ts'
import type { Stage, StageOptions } from '../../chaos/scenario/stage.ts'
import type { ScenarioOptions } from '../commands/scenario.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import type { Scope } from '../scope.ts'
import { makeTemporaryDirectory } from '../temporary-directory.ts'
import { headingOf, jsonOf, resultLines, withoutBigints } from './print.ts'
import { Prompt } from './prompt.ts'

export async function runScenario(scope: Scope, file: string, options: ScenarioOptions): Promise<ExitCode> {
  const { nonInteractive = false, json = false, keepState = false, concurrent = false } = options
  const scenario = await readScenario(file)
  const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`)
  const stage = await openStage(scope, options.runtime, {
    keepState,
    onMessage: options.debug === true ? say : undefined,
  })
  const prompt = nonInteractive || json ? undefined : new Prompt(process.stdin, process.stdout)
  if (prompt !== undefined) scope.defer(() => prompt.close())
  const run = new ScenarioRun(scenario, stage, {
    concurrent,
    keepState,
    patienceMs: options.patience * 1_000,
  })
  const results: ScenarioResult[] = []
  for (const [index, set] of run.sets.entries()) {
    scope.signal.throwIfAborted()
    say(`${index === 0 ? '' : '\n'}${headingOf(set)}`)
    const result = await run.run(set)
    // Whoever interrupts is told no more: what the set ran on may be gone.
    scope.signal.throwIfAborted()
    results.push(result)
    for (const line of resultLines(result)) say(line)
    if (prompt !== undefined && (await prompt.afterSet(result)) === 'quit') break
  }
  scope.signal.throwIfAborted()
  const left = run.sets.length - results.length
  const code = exitOf(results, left)
  const passed = results.filter(({ verdict }) => verdict === 'pass').length
  say(`\n${passed} of ${run.sets.length} sets passed${left > 0 ? `, ${left} not run` : ''}`)
  if (json) {
    const document = {
      file,
      runtime: options.runtime,
      keepState,
      concurrent,
      left,
      sets: results.map(jsonOf),
    }
    process.stdout.write(`${JSON.stringify(document, withoutBigints)}\n`)
  }
  return code
}

function exitOf(results: readonly ScenarioResult[], left: number): ExitCode {
  if (results.some(({ verdict }) => verdict === 'fail')) return EXIT.fail
  return left === 0 && results.every(({ verdict }) => verdict === 'pass') ? EXIT.pass : EXIT.unknown
}

/** @throws UsageError with every problem of the file */
async function readScenario(file: string): Promise<Scenario> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UsageError(`${file}: cannot be read (${cause.code}). Give the path of a scenario in CSV.`, {
      cause,
    })
  })
  try {
    return parseScenario({ name: file, text })
  } catch (cause) {
    if (cause instanceof ScenarioError)
      throw new UsageError(`the scenario is wrong:\n${cause.message}`, { cause })
    throw cause
  }
}

async function openStage(
  scope: Scope,
  runtime: ScenarioOptions['runtime'],
  options: StageOptions,
): Promise<Stage> {
  if (runtime === 'sim') return new SimStage(options)
  const place = await makeTemporaryDirectory(scope, {
    name: 'scenario',
    replicas: REPLICAS,
    keeps: () => false,
  })
  const cluster = await ScenarioCluster.make(place.cluster)
  const stage = new RealStage(cluster, join(place.directory, 'sets'), {
    ...options,
    onServing: () => place.noteHomes(),
  })
  scope.defer(() => stage.close())
  return stage
}
