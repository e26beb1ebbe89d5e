import { type Command, InvalidArgumentError } from 'commander'
import { FLOOD_KINDS, type FloodKind } from '../../chaos/workload/flood/floods.ts'
import { examples, wholeNumber } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { withScope } from '../scope.ts'

export type FloodOptions = {
  readonly kinds: readonly FloodKind[]
  readonly rate: number
  readonly clients: number
  readonly callers: number
  readonly pairs: number
  readonly seconds: number
  readonly share: number
  readonly json?: boolean
}

const KINDS = Object.keys(FLOOD_KINDS) as FloodKind[]
/** A new cluster has eight client keys; one is the flooder's, one asks the replicas how they are. */
const CLIENTS_MAX = 6

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .description('what one flooding client leaves to the others, beside the same flood to a dead port')
    .option('--kinds <list>', `commas between: ${KINDS.join(', ')}`, kindsFrom, KINDS)
    .option('--rate <n>', 'messages a second, to each replica', wholeNumber(1, 100_000), 2_000)
    .option('--clients <n>', 'others, each with a key of its own', wholeNumber(1, CLIENTS_MAX), CLIENTS_MAX)
    .option('--callers <n>', 'of each of them, each waiting for its answer', wholeNumber(1, 1_000), 4)
    .option('--pairs <n>', 'of stretches of time, one of each two flooded', wholeNumber(1, 100), 6)
    .option('--seconds <n>', 'of each stretch', wholeNumber(1, 600), 5)
    .option(
      '--share <percent>',
      "fail when the median of the others' share is below",
      wholeNumber(0, 100),
      70,
    )
    .option('--json', 'print the results as one JSON document instead of the table')
    .addHelpText(
      'after',
      `${examples(
        'pbft experiment flood',
        'pbft experiment flood --kinds signatures --rate 5000 --pairs 10',
      )}\n${EXPLANATION}`,
    )
    .action(async (options: FloodOptions) => {
      const { experimentFlood } = await import('../experiment/flood.ts')
      exit(await withScope((scope) => experimentFlood(scope, options)))
    })
}

const EXPLANATION = `
Four replicas and their databases run as processes on this machine, the flooder in a thread of its own. Its flood costs
the machine as much when it goes to a port that nobody listens on, so the two are compared, in turn.
${KINDS.map((kind) => `  ${kind.padEnd(11)}${FLOOD_KINDS[kind]}`).join('\n')}

Exit codes: 0 the others kept their share, 1 they did not, or calls failed, 2 the command was not understood.`

function kindsFrom(text: string): readonly FloodKind[] {
  return text.split(',').map((word) => {
    const kind = KINDS.find((known) => known === word.trim())
    if (kind === undefined) throw new InvalidArgumentError(`It must be some of: ${KINDS.join(', ')}.`)
    return kind
  })
}
