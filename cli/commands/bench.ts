import { type Command, InvalidArgumentError } from 'commander'
import { WORKLOADS, type Workload } from '../../chaos/workload/operations.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { type BenchFault, FAULTS } from '../bench/fault-kinds.ts'
import type { ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { withScope } from '../scope.ts'

export type BenchOptions = {
  readonly cluster?: string
  readonly clients: number
  readonly concurrency: number
  readonly workload: Workload
  readonly seconds: number
  readonly warmup: number
  readonly accounts: number
  readonly replicas: number
  readonly seed: number
  readonly rate?: number
  readonly fault?: BenchFault
  /** What the liars of --fault liar do, one after the other. */
  readonly byzantine?: readonly string[]
  readonly rounds: number
  readonly micro?: boolean
  readonly state?: boolean
  readonly changed: number
  readonly transferred: number
  readonly json?: boolean
}

/** As given: what --accounts is when it is not depends on what is measured. */
type Given = Omit<BenchOptions, 'accounts'> & { readonly accounts?: number }

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--cluster <directory>', 'a running cluster (default: a new one, removed at the end)')
    .option('--clients <c>', 'identities, each with its own connections', wholeNumber(1, 8), 1)
    .option('--concurrency <n>', 'callers of each client that wait for an answer', wholeNumber(1, 10_000), 64)
    .option('--workload <kind>', `one of ${WORKLOADS.join(', ')}`, workloadFrom, 'transfer')
    .option('--seconds <s>', 'how long to measure', wholeNumber(1, 86_400), 10)
    .option('--warmup <s>', 'how long to run before that', wholeNumber(0, 3_600), 2)
    .option(
      '--accounts <n>',
      'how many accounts (default: 10,000; of --state 1,000,000)',
      wholeNumber(2, 1_000_000),
    )
    .option('--replicas <n>', 'of the new cluster', wholeNumber(4, 100), 4)
    .option('--seed <n>', 'which operations are drawn', wholeNumber(0, 2 ** 31), 1)
    .option('--rate <ops>', 'operations per second at most', wholeNumber(1, 1_000_000))
    .option(
      '--fault <kind>',
      `on a new cluster: ${FAULTS.join(', ')} (kill -9 of one replica in each round; none: views that change; liar: the primary begins to lie)`,
      faultFrom,
    )
    .option('--byzantine <behaviours...>', 'of --fault liar, one after the other (default: each alone)')
    .option('--rounds <n>', 'of --state and of each --fault but none', wholeNumber(1, 1_000), 5)
    .option('--micro', 'measure the primitives instead: sign, verify, seal, encode, one consensus round')
    .option(
      '--state',
      'measure checkpoints and state transfer between two databases instead, without a network',
    )
    .option('--changed <n>', 'accounts between two checkpoints of --state', wholeNumber(2, 1_000_000), 10_000)
    .option('--transferred <n>', 'accounts that --state transfers', wholeNumber(2, 1_000_000), 100_000)
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `${examples(
        'pbft bench',
        'pbft bench --concurrency 1 --workload read --seconds 5',
        'pbft bench --cluster .run/cluster --clients 4 --json',
        'pbft bench --fault primary --rounds 5 --seconds 5',
        'pbft bench --fault backup --rate 3000',
        'pbft bench --fault liar --byzantine time "equivocation; dark(n3)" --rounds 1',
        'pbft bench --micro',
        'pbft bench --state --accounts 1000000 --changed 10000 --transferred 100000',
      )}

transfer moves 1 between two random accounts; read asks for a balance; mixed is half transfers, 40% reads, and a few
deposits and withdrawals. Latencies are those of calls that were answered; errors are calls that were not.
Each round of --fault liar has a new cluster: after a primary was replaced for being slow (time, slow) replicas allow the
next twice as much for ten minutes [NC10].`,
    )
    .action(async (options: Given) => exit(await bench(options)))
}

function workloadFrom(text: string): Workload {
  const found = WORKLOADS.find((workload) => workload === text)
  if (found === undefined) throw new InvalidArgumentError(`It must be one of ${WORKLOADS.join(', ')}.`)
  return found
}

function faultFrom(text: string): BenchFault {
  const found = FAULTS.find((fault) => fault === text)
  if (found === undefined) throw new InvalidArgumentError(`It must be one of ${FAULTS.join(', ')}.`)
  return found
}

async function bench(given: Given): Promise<ExitCode> {
  if (given.micro === true) return (await import('../bench/micro.ts')).benchMicro(given)
  if (given.state === true) return (await import('../bench/state.ts')).benchState(given)
  const options: BenchOptions = { ...given, accounts: given.accounts ?? 10_000 }
  const { fault, byzantine } = options
  if (byzantine !== undefined && fault !== 'liar') throw new UsageError('--byzantine is of --fault liar')
  if (fault !== undefined) {
    const { benchFaults } = await import('../bench/faults.ts')
    return withScope((scope) => benchFaults(scope, { ...options, fault }))
  }
  const { benchCluster } = await import('../bench/cluster.ts')
  return withScope((scope) => benchCluster(scope, options))
}
