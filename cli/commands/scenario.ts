import { type Command, Option } from 'commander'
import { examples, wholeNumber } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { withScope } from '../scope.ts'

export type ScenarioOptions = {
  readonly runtime: 'real' | 'sim'
  readonly nonInteractive?: boolean
  readonly debug?: boolean
  readonly keepState?: boolean
  readonly concurrent?: boolean
  readonly patience: number
  readonly json?: boolean
}

const PATIENCE_S = 10

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .command('run')
    .description('play the sets of a scenario file on seven replicas, some of them down or lying')
    .argument('<file>', 'CSV: Set Number,Transactions,Live,Byzantine,Attack (docs/scenarios.md)')
    .option('--non-interactive', 'run all sets through, without a prompt after each')
    .addOption(
      new Option('--runtime <which>', 'processes with a Postgres each, or the simulator')
        .choices(['real', 'sim'])
        .default('real'),
    )
    .option('--debug', 'print messages as replicas send and receive them')
    .option('--keep-state', 'each set goes on where the one before ended, instead of from a fresh state')
    .option(
      '--concurrent',
      'each client sends its own transactions one after the other, all at the same time',
    )
    .option('--patience <s>', 'how long a client waits for its answer', wholeNumber(1, 600), PATIENCE_S)
    .option('--json', 'print one JSON document at the end; there is no prompt')
    .addHelpText(
      'after',
      `${examples(
        'pbft scenario run docs/scenarios/attacks.csv',
        'pbft scenario run docs/scenarios/attacks.csv --non-interactive',
        'pbft scenario run docs/scenarios/attacks.csv --runtime sim --debug',
        'pbft scenario run docs/scenarios/attacks.csv --keep-state --concurrent',
        "printf 'views\\nstatus\\n\\nnext\\n' | pbft scenario run docs/scenarios/attacks.csv",
      )}\n${EXPLANATION}`,
    )
    .action(async (file: string, options: ScenarioOptions) => {
      const { runScenario } = await import('../scenario/run.ts')
      exit(await withScope((scope) => runScenario(scope, file, options)))
    })
}

const EXPLANATION = `
A set is a row with its number, a transaction, who is live, who is byzantine and what those do, and further rows with a
transaction each: a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT).

  Set Number,Transactions,Live,Byzantine,Attack
  1,"(A, C, 5)","[n1, n2, n3, n4, n5, n6, n7]","[n3]","[time; dark(n6); equivocation(n7)]"
  ,"(C, E, 2)",,,
  ,(G),,,

Replicas are n1 to n7 (n1 is the primary of view 0), clients A to J with 10 units each. Byzantine ones do all attacks:

  sign               no signature of its own is valid
  crash              sends no PREPARE, COMMIT or NEW-VIEW
  time               everything that it says of the order comes just before the time-out
  dark(n6)           sends nothing to those named
  equivocation(n7)   as the primary, proposes something else to those named

After each set: what became of each transaction, the balances, the checker's verdict over the correct replicas, and a prompt
unless --non-interactive or --json says otherwise: log, status, db, views, perf, next, quit; help says more. At the end of
its input the sets that are left follow each other. Without a quorum transactions are reported as not executed.

Exit codes: 0 every set passed, 1 one failed, 2 it can't be told, sets were left out, or the file is wrong.`
