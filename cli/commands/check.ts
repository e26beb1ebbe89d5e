import type { Command } from 'commander'
import { check } from '../../chaos/check/check.ts'
import type { Comparison } from '../../chaos/check/compare-databases.ts'
import { describeComparison } from '../../chaos/check/describe-comparison.ts'
import { type Gathered, NothingToCheckError, sourcesOfRun } from '../../chaos/check/run-sources.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { reportLines } from '../check/print.ts'
import { sourcesOfCluster, sourcesOfUrls } from '../check/sources.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { DEFAULT_CLUSTER } from '../invocation.ts'
import { type Scope, withScope } from '../scope.ts'

type Options = {
  readonly cluster?: string
  readonly run?: string
  readonly genesis?: string
  readonly database: readonly string[]
  readonly votes: readonly string[]
  readonly history?: string
  readonly wait: number
  readonly json?: boolean
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value]

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--cluster <directory>', `a cluster's directory, with the replicas' bundles (${DEFAULT_CLUSTER})`)
    .option('--run <directory>', 'what a chaos run left')
    .option('--genesis <file>', 'the genesis of a cluster whose databases are given by URL')
    .option('--database <url>', 'one of its databases; once for each', collect, [])
    .option('--votes <directory>', "one of its replicas' vote logs; once for each", collect, [])
    .option('--history <file>', 'what clients did and were told, as `pbft chaos run` writes it')
    .option(
      '--wait <seconds>',
      'how long a database that lags behind may take to catch up',
      wholeNumber(0, 3_600),
      10,
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `${examples(
        'pbft check',
        'pbft check --cluster bank --json',
        'pbft check --run .run/chaos/mixed-7',
        'pbft check --genesis genesis.json --database postgresql://a/ledger --database postgresql://b/ledger',
      )}\n${EXPLANATION}`,
    )
    .action(async (options: Options) => exit(await withScope((scope) => run(scope, options))))
}

const EXPLANATION = `
Judges vote logs, databases and what clients were told: that one batch was agreed on at each sequence number and proven,
that the agreed batches, executed once more, give every row of every database, that money is conserved, that each answer
was true, and that nothing went back. A cluster may run or not; embedded databases are started for it.
docs/checker.md says what each property needs, and what it can't see.

Exit codes: 0 all that was checked holds, 1 something does not, 2 it can't be told.`

async function run(scope: Scope, options: Options): Promise<ExitCode> {
  const { sources, places } = await gathered(scope, options)
  const report = await check(sources)
  if (options.json === true) process.stdout.write(`${JSON.stringify(report)}\n`)
  else process.stdout.write(`${reportLines(report, places).join('\n')}\n`)
  return { pass: EXIT.pass, fail: EXIT.fail, unknown: EXIT.unknown }[report.verdict]
}

/** Without anything to judge nothing can be told. @throws UsageError */
async function gathered(scope: Scope, options: Options): Promise<Gathered> {
  try {
    return await gather(scope, options)
  } catch (error) {
    if (error instanceof NothingToCheckError) throw new UsageError(error.message)
    throw error
  }
}

async function gather(scope: Scope, options: Options): Promise<Gathered> {
  const { cluster, run: directory, genesis, database: databases, votes, history = null, wait } = options
  const ways = [cluster, directory, genesis].filter((way) => way !== undefined)
  if (ways.length > 1) throw new UsageError('give one of --cluster, --run and --genesis')
  if (directory !== undefined) return sourcesOfRun(directory)
  if (genesis !== undefined) return sourcesOfUrls(scope, { genesis, databases, votes, history })
  if (databases.length + votes.length > 0)
    throw new UsageError('--database and --votes need the --genesis of their cluster')
  return sourcesOfCluster(scope, { directory: cluster ?? DEFAULT_CLUSTER, waitMs: wait * 1_000, history })
}

/** One line per replica whose database is wrong. */
export const describeFindings = (comparison: Comparison): string[] =>
  describeComparison(comparison).map(({ text }) => text)
