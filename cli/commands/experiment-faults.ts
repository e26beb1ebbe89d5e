import { availableParallelism } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { CountRange } from '../../chaos/experiments/faults/choices.ts'
import type { Runtime } from '../../chaos/experiments/faults/result.ts'
import { DEFAULT_TUNING } from '../../protocol/config.ts'
import { examples, wholeNumber } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { delayFrom, dropFrom, maliciousFrom, runtimeFrom } from '../experiment/faults-options.ts'
import { withScope } from '../scope.ts'
import { REPLICAS_OPTION_MAX } from './limits.ts'

export type FaultsOptions = {
  readonly replicas: readonly number[]
  readonly malicious: readonly CountRange[]
  readonly byzantine: readonly string[]
  readonly delay: { readonly min: number; readonly max: number }
  readonly drop: readonly number[]
  readonly runs: number
  readonly writes: number
  readonly clients: number
  readonly deadline: number
  readonly viewChangeTimeout: number
  readonly seed: number
  readonly runtime: Runtime
  readonly workers: number
  readonly out?: string
  readonly csv?: string
  readonly plot?: string
  readonly json?: boolean
}

/** The first stops progress where it is more than f, the second breaks agreement. */
const ATTACKS = ['crash; mute', 'equivocation; two-faced']

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .description('success, latency and messages by number of malicious replicas, up to f and beyond')
    .option('--replicas <list>', 'sizes of the clusters, commas between', replicasFrom, [4, 7, 10, 13])
    .addOption(
      new Option('--malicious <counts>', 'how many replicas lie: a range or a list; f is what n stands')
        .argParser(maliciousFrom)
        .default(maliciousFrom('0..f+1'), '0..f+1'),
    )
    .option('--byzantine <behaviours...>', 'what they all do; of several texts each is measured', ATTACKS)
    .addOption(
      new Option('--delay <range>', "each datagram's latency one way, drawn evenly between the two")
        .argParser(delayFrom)
        .default(delayFrom('5..40ms'), '5..40ms'),
    )
    .option(
      '--drop <shares>',
      'of datagrams that are lost, each measured: a list, or a range for its ends and its middle',
      dropFrom,
      [0, 0.1, 0.2],
    )
    .option('--runs <r>', 'of each combination', wholeNumber(1, 10_000), 10)
    .option('--writes <n>', 'of each run, over all its clients', wholeNumber(1, 100_000), 20)
    .option('--clients <n>', 'that write at the same time, one call each', wholeNumber(1, 64), 4)
    .option('--deadline <s>', 'within which a write must be answered', wholeNumber(1, 3_600), 30)
    .option(
      '--view-change-timeout <ms>',
      'how long a request waits for its primary, at first',
      wholeNumber(20, 600_000),
      DEFAULT_TUNING.viewChangeTimeoutMs,
    )
    .option('--seed <n>', 'run i of each combination has this + i - 1', wholeNumber(0, 2 ** 30), 1)
    .option(
      '--runtime <which>',
      'sim: simulated time, exact and repeatable; real: processes, of 4 or 7 replicas',
      runtimeFrom,
      'sim',
    )
    .option('--workers <n>', 'threads that share the runs', wholeNumber(1, 256), availableParallelism())
    .option('--out <file>', 'where the results go (default: .run/experiments/faults-TIME.json)')
    .option('--csv <file>', 'where the table goes (default: beside the results)')
    .option('--plot <file.svg>', 'draw the success rate and the latency')
    .option('--json', 'print the results as one JSON document instead of the table')
    .addHelpText(
      'after',
      `${examples(
        'pbft experiment faults',
        'pbft experiment faults --replicas 4,7,10,13 --malicious 0..f+1 --delay 5..40ms --drop 0..0.2 --plot faults.svg',
        'pbft experiment faults --runtime real --replicas 4,7 --drop 0,0.1 --runs 3 --deadline 15',
        'pbft experiment faults --replicas 4 --malicious 1 --byzantine "time" "dark(n4); sign" --drop 0',
      )}\n${EXPLANATION}`,
    )
    .action(async (options: FaultsOptions) => {
      const { experimentFaults } = await import('../experiment/faults.ts')
      exit(await withScope((scope) => experimentFaults(scope, options)))
    })
}

const EXPLANATION = `
The malicious replicas are the first ones, so that they are the primaries of the first views. Each client makes a write
when its last one is answered. success: share of the runs whose writes were all answered within the deadline and in which
nothing broke; answered: of all writes; safe: runs in which nothing broke, whatever was answered. A run ends when nothing
was answered for as long as the deadline, or something broke. With at most f malicious replicas every run must succeed;
beyond f (marked *) they need not, and the table says what became of them.
commit latency: from the call to the answer that f+1 replicas agree on, over the answered writes.
messages: PRE-PREPARE, PREPARE and COMMIT per batch, VIEW-CHANGE and NEW-VIEW per view entered, sent by correct replicas.
In simulated time the same command gives the same table, on any machine and with any number of workers. With real
processes each run has a fresh cluster with embedded databases, whose datagrams pass proxies that delay and drop them;
the checker judges what the correct replicas hold.
What replicas can be told to do: pbft replica --help.

Exit codes: 0 all runs with up to f malicious replicas succeeded, 1 some did not, 2 the command was not understood.`

function replicasFrom(text: string): readonly number[] {
  const parse = wholeNumber(4, REPLICAS_OPTION_MAX)
  const sizes = text.split(',').map((word) => parse(word.trim()))
  if (new Set(sizes).size < sizes.length) throw new InvalidArgumentError('A number is there twice.')
  return sizes
}
