import { availableParallelism } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { twinsInParallel } from '../../chaos/sim/twins/parallel.ts'
import { parseSchedule, type Schedule } from '../../chaos/sim/twins/schedule.ts'
import {
  added,
  NOTHING,
  sampledFrom,
  spaceOf,
  type TwinsReport,
  type TwinsShare,
  type TwinsTally,
} from '../../chaos/sim/twins/twins.ts'
import { table } from '../../client/format.ts'
import { examples, wholeNumber } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { invocation } from '../invocation.ts'
import { grouped, plural } from '../words.ts'

const SEED_MAX = 2 ** 32 - 1
const FAILURE_LINES = 60
const PROGRESS_INTERVAL_MS = 250
/** More partitions than this per view, and no machine gets to the end of three views. */
const EXHAUSTIVE_REPLICAS_MAX = 4

type Options = {
  readonly replicas: number
  readonly views: number
  readonly exhaustive?: boolean
  readonly from?: number
  readonly until?: number
  readonly schedules: number
  readonly seed: number
  readonly twins?: number
  readonly schedule?: Schedule
  readonly workers: number
  readonly json?: boolean
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--replicas <n>', 'at least 4', wholeNumber(4, 13), 4)
    .option('--views <v>', 'how many views have a partition of their own', wholeNumber(1, 50), 7)
    .option(
      '--schedules <m>',
      'how many are drawn, from consecutive seeds',
      wholeNumber(1, 10_000_000),
      1_000,
    )
    .option('--seed <n>', 'the first one', wholeNumber(0, SEED_MAX), 1)
    .option(
      '--twins <k>',
      'identities that are run twice (default: f; with f+1 it must fail)',
      wholeNumber(1, 4),
    )
    .option('--exhaustive', 'every schedule of one twin of four replicas instead, up to symmetry')
    .option('--from <place>', 'of the exhaustive ones, counted before symmetry', wholeNumber(0, 2 ** 40))
    .option('--until <place>', 'the first that is left out', wholeNumber(1, 2 ** 40))
    .option('--schedule <text>', 'this one: views by /, groups by |, instances by commas', scheduleFrom)
    .option('--workers <n>', 'threads that share the schedules', wholeNumber(1, 256), availableParallelism())
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      examples(
        'pbft twins --views 3 --exhaustive',
        'pbft twins --replicas 7 --schedules 2000',
        "pbft twins --schedule '0a,1,2|0b,3/0a,0b,1,2,3'",
      ),
    )
    .action(async (options: Options) => exit(await twins(options)))
}

function scheduleFrom(text: string): Schedule {
  try {
    return parseSchedule(text)
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? `${error.message}.` : '')
  }
}

async function twins(options: Options): Promise<ExitCode> {
  const { share, total } = wholeOf(options)
  const startedMs = performance.now()
  let sum = NOTHING
  for await (const part of watched(twinsInParallel(share, options.workers), options)) sum = added(sum, part)
  const perSecond = (sum.schedules * 1_000) / (performance.now() - startedMs)
  if (options.json === true) {
    const failures = sum.failures.map(({ schedule, seed, failure }) => ({ schedule, seed, failure }))
    process.stdout.write(`${JSON.stringify({ ...sum, failures, total: `${total}`, perSecond })}\n`)
  } else {
    const rows = Object.entries(sum.happenings).sort(([a], [b]) => (a < b ? -1 : 1))
    process.stdout.write(
      `${table(
        ['what happened', 'times'],
        rows.map(([what, count]) => [what, `${count}`]),
      )}\n\n`,
    )
    process.stdout.write(
      `${grouped(sum.schedules)} / ${grouped(total)} schedules, ${plural(sum.batches, 'batch', 'batches')}, ` +
        `${sum.failures.length} failed, ${perSecond.toFixed(1)} schedules a second\n`,
    )
  }
  return sum.failures.length === 0 ? EXIT.pass : EXIT.fail
}

function wholeOf(options: Options): { readonly share: TwinsShare; readonly total: number | bigint } {
  const { replicas, views, schedules, seed, twins: count, schedule, exhaustive, from = 0 } = options
  if (schedule !== undefined) return { share: { kind: 'given', schedule }, total: 1 }
  if (exhaustive !== true) {
    const shape = { replicas, views, twins: count }
    return { share: { kind: 'sampled', ...shape, fromSeed: seed, schedules }, total: sampledFrom(shape) }
  }
  if (replicas > EXHAUSTIVE_REPLICAS_MAX || (count ?? 1) !== 1) {
    throw new InvalidArgumentError(
      '--exhaustive is for four replicas and one twin: leave it out, and schedules are drawn.',
    )
  }
  const space = spaceOf({ replicas, views })
  const { until = space.size } = options
  return { share: { kind: 'exhaustive', replicas, views, from, until }, total: space.classes }
}

/** Says how far it is, and of each failure at once how to see it again. */
async function* watched(tallies: AsyncIterable<TwinsTally>, options: Options): AsyncGenerator<TwinsTally> {
  const isTerminal = process.stderr.isTTY
  let shownMs = performance.now()
  let done = 0
  for await (const part of tallies) {
    done += part.schedules
    if (isTerminal) process.stderr.write('\r\x1b[K')
    if (options.json !== true) {
      for (const failed of part.failures) process.stdout.write(`${told(failed, options)}\n\n`)
    }
    if (isTerminal && performance.now() - shownMs >= PROGRESS_INTERVAL_MS) {
      shownMs = performance.now()
      process.stderr.write(plural(done, 'schedule'))
    }
    yield part
  }
  if (isTerminal) process.stderr.write('\r\x1b[K')
}

function told({ schedule, seed, failure, lines }: TwinsReport, options: Options): string {
  const { replicas, views, twins: count } = options
  const again =
    seed === null
      ? `--schedule '${schedule}'`
      : `--replicas ${replicas} --views ${views}${count === undefined ? '' : ` --twins ${count}`} --schedules 1 --seed ${seed}`
  return [
    ...lines.slice(-FAILURE_LINES),
    `schedule ${schedule}`,
    `failed at ${failure?.atMs.toFixed(3)} ms: ${failure?.kind}: ${failure?.message}`,
    `again: ${invocation()} twins ${again}`,
  ].join('\n')
}
