import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import { examples, wholeNumber } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { REPLICAS_OPTION_MAX } from './limits.ts'

export type AdversariesOptions = {
  readonly replicas: readonly number[]
  readonly alone: number
  readonly pairs: number
  readonly swarm: number
  readonly seed: number
  readonly workers: number
  readonly out?: string
  readonly markdown?: string
  readonly json?: boolean
}

const RUNS_MAX = 1_000_000

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .description('every behaviour of a lying replica, alone and in pairs, over simulated seeds')
    .option('--replicas <list>', 'comma-separated sizes; f of each lie', sizes, [4, 7])
    .option('--alone <seeds>', 'of each behaviour alone', wholeNumber(0, RUNS_MAX), 200)
    .option('--pairs <seeds>', 'of each pair of behaviours', wholeNumber(0, RUNS_MAX), 20)
    .option(
      '--swarm <seeds>',
      'with the liars, losses and crashes that each seed draws',
      wholeNumber(0, RUNS_MAX),
      2_500,
    )
    .option('--seed <n>', 'the first one', wholeNumber(0, 2 ** 30), 1)
    .option('--workers <n>', 'threads that share the runs', wholeNumber(1, 256), availableParallelism())
    .option('--out <file>', 'the results as JSON')
    .option('--markdown <file>', 'the matrix as a page')
    .option('--json', 'print the results as one JSON document instead of the matrix')
    .addHelpText(
      'after',
      `${examples(
        'pbft experiment adversaries',
        'pbft experiment adversaries --replicas 4 --alone 20 --pairs 0 --swarm 0',
        'pbft experiment adversaries --out matrix.json --markdown matrix.md',
      )}\n${EXPLANATION}`,
    )
    .action(async (options: AdversariesOptions) => {
      const { experimentAdversaries } = await import('../experiment/adversaries.ts')
      exit(await experimentAdversaries(options))
    })
}

const EXPLANATION = `
f replicas lie from the first event to the last while messages are lost and correct replicas crash and come back. Every
run is checked as those of pbft simulate are: safety after each event; and once the network is healed every request is
answered, and the correct replicas become equal, although the liars go on. view changes: views that a replica entered
beyond the first, on the average. with a lie: seeds in which a liar had occasion to lie. cost: how much longer the same
seeds take until the last request is answered than without liars, in simulated time.

Exit codes: 0 no run failed, 1 some did, 2 the command was not understood.`

function sizes(text: string): readonly number[] {
  const parse = wholeNumber(4, REPLICAS_OPTION_MAX)
  return text.split(',').map((word) => parse(word.trim()))
}
