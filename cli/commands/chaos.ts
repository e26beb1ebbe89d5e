import type { Command } from 'commander'
import { PROFILES } from '../../chaos/plan/profiles.ts'
import { examples, wholeNumber } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { withScope } from '../scope.ts'

export type ChaosOptions = {
  readonly profile?: string
  readonly byzantine?: string
  readonly liars?: number
  readonly seed?: number
  readonly seconds?: number
  readonly replicas?: number
  readonly postgres: readonly string[]
  readonly out?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

const SEED_MAX = 2 ** 31 - 1

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .command('run')
    .description('run a cluster of real processes under load and faults, and judge it')
    .argument('[file]', 'a plan in YAML (docs/chaos.md)')
    .option('--profile <name>', `instead of a file: ${PROFILES.join(', ')} (default: mixed)`)
    .option(
      '--byzantine <behaviours>',
      'instead of either: f replicas, the primary first, do this for most of the time',
    )
    .option(
      '--liars <n>',
      'of --byzantine, the first replicas; with more than f it must fail (default: f)',
      wholeNumber(1, 31),
    )
    .option(
      '--seed <n>',
      'what is drawn: plan, victims, workload, the network (default: a new one)',
      wholeNumber(0, SEED_MAX),
    )
    .option(
      '--seconds <s>',
      'how long load and faults go on (default: 60, or what the file says)',
      wholeNumber(5, 86_400),
    )
    .option('--replicas <n>', 'at least 4 (default: 4, or what the file says)', wholeNumber(4, 31))
    .option('--postgres <how...>', 'embedded, docker, or one database URL per replica', ['embedded'])
    .option('--out <directory>', 'of the run (default: .run/chaos/...)')
    .option('--dry-run', 'check the plan, print it, and run nothing')
    .option('--json', 'print the results as one JSON document')
    .addHelpText(
      'after',
      `${examples(
        'pbft chaos run',
        'pbft chaos run --profile crash --seconds 30',
        'pbft chaos run --profile mixed --seed 7 --replicas 7',
        'pbft chaos run plan.yaml --seed 3',
        'pbft chaos run --byzantine "equivocation; lying-replies" --seconds 30',
        'pbft chaos run --byzantine "equivocation; two-faced" --liars 2',
        'pbft chaos run --profile partition --dry-run > plan.yaml',
      )}\n${EXPLANATION}`,
    )
    .action(async (file: string | undefined, options: ChaosOptions) => {
      const { runChaos } = await import('../chaos/run.ts')
      exit(await withScope((scope) => runChaos(scope, file, options), { finishes: true }))
    })
}

const EXPLANATION = `
The run is a directory: results, history of every call, faults, vote logs, rows (docs/chaos.md). The first Ctrl-C stops the
faults, heals, and judges what there is; a second one breaks off. The seed repeats plan and workload, not the
interleaving of real processes. \`pbft replica --help\` lists what --byzantine may name.

Exit codes: 0 it passed, 1 it failed, 2 inconclusive (what the run is for did not happen, or can't be judged) or not
understood.`
