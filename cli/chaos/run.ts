import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parsePlan } from '../../chaos/plan/parse.ts'
import type { Plan } from '../../chaos/plan/plan.ts'
import { liarsText, PROFILES, type Profile, profileText } from '../../chaos/plan/profiles.ts'
import { requireTolerated } from '../../chaos/plan/tolerance.ts'
import { conductRun, type RunResults } from '../../chaos/run/conduct.ts'
import { formatBehaviours } from '../../replica/byzantine/behaviour.ts'
import { readBehaviours } from '../byzantine.ts'
import type { ChaosOptions } from '../commands/chaos.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { invocation } from '../invocation.ts'
import type { Scope } from '../scope.ts'
import { makeTemporaryDirectory } from '../temporary-directory.ts'
import { printResults } from './print-results.ts'
import { ProgressDisplay } from './progress.ts'

const SECONDS = 60
const REPLICAS = 4
const SEED_MAX = 999_999

type PlanSource = { readonly plan: Plan; readonly text: string; readonly words: readonly string[] }

export async function runChaos(
  scope: Scope,
  file: string | undefined,
  options: ChaosOptions,
): Promise<ExitCode> {
  const seed = options.seed ?? randomInt(1, SEED_MAX)
  const source = await planOf(file, options, seed)
  const { plan, text } = source
  requireTolerated(plan)
  if (options.dryRun === true) {
    process.stdout.write(text)
    return EXIT.pass
  }
  const repeat = repeatOf(source, options, seed)
  const directory =
    options.out ?? join('.run', 'chaos', `${stamp()}-${plan.name.replaceAll(' ', '-')}-${seed}`)
  const display = new ProgressDisplay()
  display.say(
    `seed ${seed}   ${plan.name}, ${plan.cluster.replicas} replicas, ${plan.seconds} s   run in ${directory}`,
  )
  const place = await makeTemporaryDirectory(scope, {
    name: 'chaos',
    replicas: plan.cluster.replicas,
    keeps: () => false,
  })
  const results = await conductRun({
    plan,
    planText: text,
    seed,
    directory,
    clusterDirectory: place.cluster,
    postgres: options.postgres,
    repeat,
    signal: scope.signal,
    onProgress: (progress) => display.show(progress),
    say: (line) => display.say(line),
    onCluster: (cluster) => scope.defer(() => cluster.stop()),
    onServing: () => place.noteHomes(),
  })
  display.done()
  if (options.json === true) process.stdout.write(`${JSON.stringify({ ...results, directory })}\n`)
  else printResults(results, directory)
  return EXITS[results.verdict]
}

const EXITS: Readonly<Record<RunResults['verdict'], ExitCode>> = {
  pass: EXIT.pass,
  fail: EXIT.fail,
  inconclusive: EXIT.unknown,
}

async function planOf(file: string | undefined, options: ChaosOptions, seed: number): Promise<PlanSource> {
  const { profile, byzantine, seconds, replicas, liars } = options
  if ([file, profile, byzantine].filter((one) => one !== undefined).length > 1) {
    throw new UsageError('a plan file, --profile and --byzantine exclude each other: give one of them')
  }
  if (liars !== undefined && byzantine === undefined) throw new UsageError('--liars is of --byzantine')
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new UsageError(`${file}: cannot be read (${cause.code}). Give the path of a plan in YAML.`, {
        cause,
      })
    })
    const plan = parsePlan({ name: file, text }, { seconds, replicas })
    return { plan, text, words: [file] }
  }
  const choices = { seed, seconds: seconds ?? SECONDS, replicas: replicas ?? REPLICAS, liars }
  if (byzantine !== undefined) return liarsPlan(byzantine, choices)
  const chosen = PROFILES.find((one) => one === (profile ?? 'mixed'))
  if (chosen === undefined) {
    throw new UsageError(`--profile ${profile}: there are ${PROFILES.join(', ')}`)
  }
  return profilePlan(chosen, choices)
}

type Choices = {
  readonly seed: number
  readonly seconds: number
  readonly replicas: number
  readonly liars?: number | undefined
}

function liarsPlan(byzantine: string, choices: Choices): PlanSource {
  const { liars, replicas } = choices
  if (liars !== undefined && liars > replicas) {
    throw new UsageError(`--liars ${liars}: there are only ${replicas} replicas`)
  }
  const behaviours = formatBehaviours(readBehaviours(byzantine, choices))
  const text = liarsText(behaviours, choices)
  return {
    plan: parsePlan({ name: '--byzantine', text }),
    text,
    words: ['--byzantine', `"${behaviours}"`, ...(liars === undefined ? [] : ['--liars', `${liars}`])],
  }
}

function profilePlan(profile: Profile, choices: Choices): PlanSource {
  const text = profileText(profile, choices)
  return { plan: parsePlan({ name: `profile ${profile}`, text }), text, words: ['--profile', profile] }
}

/** The command that does the same again. */
function repeatOf({ words }: PlanSource, options: ChaosOptions, seed: number): string {
  const { seconds, replicas, postgres } = options
  return [
    invocation(),
    'chaos run',
    ...words,
    `--seed ${seed}`,
    ...(seconds === undefined ? [] : [`--seconds ${seconds}`]),
    ...(replicas === undefined ? [] : [`--replicas ${replicas}`]),
    ...(postgres.length === 1 && postgres[0] === 'embedded' ? [] : ['--postgres', ...postgres]),
  ].join(' ')
}

const stamp = (): string => new Date().toISOString().slice(0, 19).replaceAll(':', '').replace('T', '-')
