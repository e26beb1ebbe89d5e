import { availableParallelism } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { campaignInParallel } from '../../chaos/sim/parallel.ts'
import {
  type CampaignSummary,
  DEFAULT_LOAD,
  FAULT_KINDS,
  type FaultSelection,
  formatFailure,
  type SimOptions,
  type SimReport,
  SOMETIMES_RUNS_MIN,
  simulate as simulateSeed,
  summarize,
} from '../../chaos/sim/simulate.ts'
import { table } from '../../client/format.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { clientBehaviourHelp, readBehaviours, readClientBehaviours } from '../byzantine.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { invocation } from '../invocation.ts'
import { listed, plural } from '../words.ts'
import { REPLICAS_OPTION_MAX } from './limits.ts'

const SEED_MAX = 2 ** 32 - 1
const CLIENTS_MAX = 64
const REQUESTS_MAX = 1_000_000
const PROGRESS_INTERVAL_MS = 250

type Options = {
  readonly seed: number
  readonly runs: number
  readonly replicas?: number
  readonly clients: number
  readonly requests: number
  readonly faults: FaultSelection
  readonly byzantine?: string
  readonly byzantineClients?: string
  readonly liars?: number
  readonly byzzfuzz?: boolean
  readonly workers: number
  readonly trace?: boolean
  readonly json?: boolean
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .requiredOption('--seed <n>', 'the first run; equal seeds give equal runs', wholeNumber(0, SEED_MAX))
    .option('--runs <m>', 'how many consecutive seeds', wholeNumber(1, 10_000_000), 1)
    .option(
      '--replicas <n>',
      'at least 4 (default: drawn from the seed)',
      wholeNumber(4, REPLICAS_OPTION_MAX),
    )
    .option('--clients <n>', 'that make calls', wholeNumber(1, CLIENTS_MAX), DEFAULT_LOAD.clients)
    .option('--requests <n>', 'calls over all clients', wholeNumber(1, REQUESTS_MAX), DEFAULT_LOAD.requests)
    .option(
      '--faults <which>',
      'swarm: a random subset per seed; all; none; or kinds, with commas between',
      faultsFrom,
      'swarm',
    )
    .option('--byzantine <behaviours>', 'what the f liars of each run do, such as "equivocation; dark(n2)"')
    .option(
      '--liars <n>',
      'how many they are, if not f: more than f may break anything',
      wholeNumber(1, REPLICAS_OPTION_MAX),
    )
    .option('--byzzfuzz', 'few and small faults, by type of message and round, and no others unless named')
    .option(
      '--byzantine-clients <behaviours>',
      'what one client of each run does, such as "two-bodies; flood"',
    )
    .option('--workers <n>', 'threads that share the seeds', wholeNumber(1, 256), availableParallelism())
    .option('--trace', 'print a line for each event and message (of few runs)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `${examples(
        'pbft simulate --seed 1 --runs 1000',
        'pbft simulate --seed 17 --trace | less',
        'pbft simulate --seed 1 --runs 200 --byzantine "equivocation; replay"',
        'pbft simulate --seed 1 --runs 200 --byzantine-clients "two-bodies; flood(1000)"',
      )}\n\n${clientBehaviourHelp()}\n\n\`pbft replica --help\` lists what --byzantine may name.`,
    )
    .action(async (options: Options) => exit(await simulate(options)))
}

function faultsFrom(text: string): FaultSelection {
  if (text === 'swarm' || text === 'all' || text === 'none') return text
  const kinds = text.split(',').map((name) => FAULT_KINDS.find((kind) => kind === name))
  if (kinds.every((kind) => kind !== undefined)) return kinds
  throw new InvalidArgumentError(`It must be swarm, all, none, or some of: ${FAULT_KINDS.join(', ')}.`)
}

type Choices = Pick<
  SimOptions,
  'clients' | 'requests' | 'faults' | 'replicas' | 'byzantine' | 'byzantineClients' | 'byzzfuzz'
>

async function simulate(options: Options): Promise<ExitCode> {
  const { seed, runs, replicas, faults, workers, trace = false, json = false } = options
  const { clients, requests, byzzfuzz = false } = options
  const choices: Choices = {
    clients,
    requests,
    faults: byzzfuzz && faults === 'swarm' ? 'none' : faults,
    byzzfuzz,
    ...(replicas === undefined ? {} : { replicas }),
    ...byzantineFrom(options),
    ...byzantineClientsFrom(options),
  }
  const startedMs = performance.now()
  const reports = trace
    ? traced(seed, runs, choices)
    : campaignInParallel({ fromSeed: seed, runs, workers, ...choices })
  const summary = await summarize(watched(reports, { runs, options }), choices)
  const runsPerSecond = (summary.runs * 1_000) / (performance.now() - startedMs)
  if (json) {
    const failures = summary.failures.map(({ seed, command, failure, traceHash }) => ({
      seed,
      command,
      failure,
      traceHash,
    }))
    process.stdout.write(`${JSON.stringify({ ...summary, failures, runsPerSecond })}\n`)
  } else {
    printSummary(summary, runsPerSecond)
  }
  return summary.failures.length === 0 && summary.missing.length === 0 ? EXIT.pass : EXIT.fail
}

function byzantineFrom({
  byzantine,
  liars,
  replicas = REPLICAS_OPTION_MAX,
}: Options): Pick<SimOptions, 'byzantine'> {
  if (byzantine === undefined) {
    if (liars === undefined) return {}
    throw new UsageError('--liars says how many there are; --byzantine must say what they do')
  }
  const behaviours = readBehaviours(byzantine, { replicas })
  return { byzantine: { behaviours, ...(liars === undefined ? {} : { count: liars }) } }
}

const byzantineClientsFrom = ({
  byzantineClients,
  replicas = REPLICAS_OPTION_MAX,
}: Options): Pick<SimOptions, 'byzantineClients'> =>
  byzantineClients === undefined
    ? {}
    : { byzantineClients: readClientBehaviours(byzantineClients, { replicas }) }

function* traced(seed: number, runs: number, choices: Choices): Generator<SimReport> {
  for (let i = 0; i < runs; i++) yield simulateSeed({ ...choices, seed: seed + i, trace: true })
}

/** Says how far it is, and of each failure at once how to see it again. */
async function* watched(
  reports: Iterable<SimReport> | AsyncIterable<SimReport>,
  { runs, options }: { readonly runs: number; readonly options: Options },
): AsyncGenerator<SimReport> {
  const isTerminal = process.stderr.isTTY
  const startedMs = performance.now()
  let shownMs = startedMs
  let done = 0
  for await (const report of reports) {
    done += 1
    if (isTerminal) process.stderr.write('\r\x1b[K')
    if (options.trace === true && !options.json) process.stdout.write(`${report.lines.join('\n')}\n`)
    if (report.failure !== null && !options.json) {
      process.stdout.write(
        `${formatFailure(report)}\nreplay it: ${report.command.replace('pbft', invocation())} --trace\n\n`,
      )
    }
    if (isTerminal && performance.now() - shownMs >= PROGRESS_INTERVAL_MS) {
      shownMs = performance.now()
      const perSecond = (done * 1_000) / (shownMs - startedMs)
      process.stderr.write(`${done} of ${plural(runs, 'run')}, ${perSecond.toFixed(1)} a second`)
    }
    yield report
  }
  if (isTerminal) process.stderr.write('\r\x1b[K')
}

/** With every choice that made this run what it was. */
function printSummary({ runs, failures, happenings, missing }: CampaignSummary, runsPerSecond: number): void {
  const rows = Object.entries(happenings).map(([what, count]) => [what, `${count}`])
  process.stdout.write(`${table(['what happened', 'times'], rows)}\n\n`)
  process.stdout.write(
    `${plural(runs, 'run')}, ${failures.length} failed, ${runsPerSecond.toFixed(1)} runs a second\n`,
  )
  if (failures.length > 0) process.stdout.write(`failed seeds: ${listed(failures.map(({ seed }) => seed))}\n`)
  for (const { what, rule } of missing) process.stdout.write(`never happened: ${what} [${rule}]\n`)
  if (missing.length > 0) {
    process.stdout.write(`a campaign of ${SOMETIMES_RUNS_MIN} runs or more must have seen each of them\n`)
  }
}
