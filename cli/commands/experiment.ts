import { type Command, InvalidArgumentError } from 'commander'
import { RESTARTS_MAX } from '../../chaos/experiments/crash-plan.ts'
import { examples, wholeNumber } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { withScope } from '../scope.ts'
import { define as defineAdversaries } from './experiment-adversaries.ts'
import { define as defineFaults } from './experiment-faults.ts'
import { define as defineFlood } from './experiment-flood.ts'
import { REPLICAS_OPTION_MAX } from './limits.ts'

const ITERATIONS_MAX = 10_000_000

export type ExperimentOptions = {
  readonly iterations: readonly number[]
  readonly runs: number
  readonly restarts: number
  readonly faultPlan?: string
  readonly postgres: readonly string[]
  readonly image?: string
  readonly replicas: number
  readonly accounts: number
  readonly concurrency: number
  readonly seed: number
  readonly checkpointInterval?: number
  readonly json?: boolean
  readonly out?: string
  readonly csv?: string
  readonly compare?: readonly string[]
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command.addHelpText(
    'after',
    examples(
      'pbft experiment iterations --help',
      'pbft experiment adversaries --help',
      'pbft experiment faults --help',
      'pbft experiment flood --help',
    ),
  )
  defineAdversaries(command.command('adversaries'), exit)
  defineFaults(command.command('faults'), exit)
  defineFlood(command.command('flood'), exit)
  command
    .command('iterations')
    .description(
      'time, view changes, state transfers and accuracy over a number of iterations, half of them reads',
    )
    .option(
      '--iterations <list>',
      'comma-separated numbers of iterations',
      listOfIterations,
      [1_000, 5_000, 10_000],
    )
    .option('--runs <n>', 'of each number of iterations, each on a fresh cluster', wholeNumber(1, 1_000), 10)
    .option(
      '--restarts <r>',
      'also measure with so many crash/recovers per run, every second of the primary',
      wholeNumber(0, RESTARTS_MAX),
      0,
    )
    .option('--fault-plan <file>', 'also measure under the faults of this plan')
    .option('--postgres <how...>', 'embedded, docker, or one URL of a server per replica', ['embedded'])
    .option('--image <name>', 'container image for --postgres docker')
    .option('--replicas <n>', 'at least 4', wholeNumber(4, REPLICAS_OPTION_MAX), 4)
    .option('--accounts <n>', 'how many accounts', wholeNumber(2, 1_000_000), 10)
    .option(
      '--concurrency <n>',
      'callers that wait for an answer each; the paper has one',
      wholeNumber(1, 10_000),
      1,
    )
    .option('--seed <n>', 'which operations are drawn: run i has this + i - 1', wholeNumber(0, 2 ** 30), 1)
    .option(
      '--checkpoint-interval <k>',
      'K of the clusters (default: as of init; with --restarts 16, or less where a victim misses few writes)',
      wholeNumber(1, 65_536),
    )
    .option('--out <file>', 'where the results go (default: .run/experiments/iterations-TIME.json)')
    .option('--csv <file>', 'where the table goes (default: beside the results)')
    .option(
      '--compare <files...>',
      'put this file of results beside this run; two files: beside each other, no run',
    )
    .option('--json', 'print the results as one JSON document instead of the table')
    .addHelpText(
      'after',
      `${examples(
        'pbft experiment iterations',
        'pbft experiment iterations --iterations 1000,5000,10000 --runs 10 --restarts 2',
        'pbft experiment iterations --iterations 1000 --runs 3 --concurrency 16 --out after.json --compare before.json',
        'pbft experiment iterations --compare before.json after.json',
      )}\n${EXPLANATION}`,
    )
    .action(async (options: ExperimentOptions) => {
      const { experimentIterations } = await import('../experiment/iterations.ts')
      exit(await withScope((scope) => experimentIterations(scope, options)))
    })
}

const EXPLANATION = `
Half of the iterations are quorum reads, half are deposits, withdrawals and transfers, in random order; each is made when
the last one is answered. With --restarts every number is measured without and with crash/recovers: SIGKILL, down for at
least 20 % of the iterations so that the replica has to fetch the state, then started again. All clusters then take
checkpoints more often, so that messages don't reach back that far (--checkpoint-interval). time is the client's loop alone. view_change: views
entered beyond the first. accuracy: of how many runs the checker, after all replicas came to rest, found every row of
every database as it should be. Brackets: order statistics around the median over the runs.
With URLs each run makes databases of its own on those servers, and drops them.
A run that does not pass keeps its cluster, and names it. Ctrl-C prints and stores what there is.

Exit codes: 0 accuracy is 100 %, 1 it is not, 2 the command was not understood.`

function listOfIterations(text: string): readonly number[] {
  const parse = wholeNumber(2, ITERATIONS_MAX)
  const numbers = text.split(',').map((word) => parse(word.trim()))
  if (new Set(numbers).size < numbers.length) throw new InvalidArgumentError('A number is there twice.')
  return numbers
}
