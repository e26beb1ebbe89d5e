/**
 * Twins (Bano et al., "Twins: BFT Systems Made Robust", OPODIS 2021): a faulty replica is made of correct ones, by
 * running one identity twice. Its two instances have the same key and code, each its own vote log and database, and
 * what they say together is equivocation, amnesia, double voting and more, without a line of attack code. A schedule says
 * who is run twice and, view by view, into which groups the instances are parted (schedule.ts, shim.ts).
 *
 *   twins({ kind: 'exhaustive', replicas: 4, views: 3, from: 0, until: 1000 })      every schedule, up to symmetry
 *   twins({ kind: 'sampled', replicas: 7, views: 7, fromSeed: 1, schedules: 100 })  schedules drawn from seeds
 *   twins({ kind: 'given', schedule: parseSchedule('0a,1,2|0b,3/0a,0b,1,2,3') })
 *
 * In each scheduled view the primary gets a batch or a few through, and then loses what it proposes, so that the view
 * ends; beyond the last one all hear all, and every request must be answered. The instances are the production
 * engine and core on the simulator's vote log, executor and database, without channel and datagrams. After each
 * event the simulator's checks look at those that are run once (checks.ts). With f identities run twice or fewer
 * nothing may fail; with f+1, or a quorum of one less, it must.
 */
import { quorumOf } from '../../../protocol/quorum.ts'
import { Random } from '../random.ts'
import { type RunOptions, runSchedule, type TwinsRun } from './run.ts'
import { formatSchedule, type Schedule } from './schedule.ts'
import { drawSchedule, drawSettings, plainSettings } from './settings.ts'
import { Space } from './space.ts'

export type TwinsShare =
  | {
      readonly kind: 'exhaustive'
      readonly replicas: number
      readonly views: number
      /** Places in the space, before symmetry (`spaceOf`). */
      readonly from: number
      readonly until: number
    }
  | {
      readonly kind: 'sampled'
      readonly replicas: number
      readonly views: number
      /** Identities that are run twice; f when left out. */
      readonly twins?: number | undefined
      readonly fromSeed: number
      readonly schedules: number
    }
  | { readonly kind: 'given'; readonly schedule: Schedule }

export type TwinsReport = TwinsRun & {
  readonly schedule: string
  /** Null when the settings are the plain ones. */
  readonly seed: number | null
}

export type TwinsTally = {
  readonly schedules: number
  readonly failures: readonly TwinsReport[]
  readonly batches: number
  readonly happenings: Readonly<Record<string, number>>
}

/** Deliberate damage, for tests. */
export type Damage = Pick<RunOptions, 'quorum'>

/** The reports of a share, one at a time. */
export function* twins(share: TwinsShare, damage: Damage = {}): Generator<TwinsReport> {
  switch (share.kind) {
    case 'exhaustive':
      for (const schedule of spaceOf(share).schedules(share)) yield runPlain(schedule, damage)
      return
    case 'sampled':
      for (let at = 0; at < share.schedules; at++) yield runSeed(share.fromSeed + at, share, damage)
      return
    case 'given':
      yield runPlain(share.schedule, damage)
  }
}

export const spaceOf = ({ replicas, views }: { readonly replicas: number; readonly views: number }): Space =>
  new Space({ replicas, views })

/** How many schedules there are to draw from: who is run twice, and any partition in each view. */
export function sampledFrom({
  replicas,
  views,
  twins: count = quorumOf(replicas).f,
}: {
  readonly replicas: number
  readonly views: number
  readonly twins?: number | undefined
}): bigint {
  let identities = 1n
  for (let at = 0; at < count; at++) identities = (identities * BigInt(replicas - at)) / BigInt(at + 1)
  return identities * partitionCount(replicas + count) ** BigInt(views)
}

/** Bell's number, by his triangle. */
function partitionCount(things: number): bigint {
  let row = [1n]
  for (let at = 1; at < things; at++) {
    const next = [row.at(-1) ?? 1n]
    for (const value of row) next.push((next.at(-1) ?? 0n) + value)
    row = next
  }
  return row.at(-1) ?? 1n
}

function runPlain(schedule: Schedule, damage: Damage): TwinsReport {
  const settings = plainSettings(schedule)
  return report({ schedule, settings, random: () => new Random(0), ...damage }, null)
}

function runSeed(
  seed: number,
  shape: { readonly replicas: number; readonly views: number; readonly twins?: number | undefined },
  damage: Damage,
): TwinsReport {
  const random = new Random(seed)
  const schedule = drawSchedule(random, shape)
  const settings = drawSettings(random, schedule)
  const runSeedOf = random.int(0, 2 ** 31 - 1)
  return report({ schedule, settings, random: () => new Random(runSeedOf), ...damage }, seed)
}

function report(
  options: Omit<RunOptions, 'random'> & { readonly random: () => Random },
  seed: number | null,
): TwinsReport {
  const run = runSchedule({ ...options, random: options.random() })
  const schedule = formatSchedule(options.schedule)
  if (run.failure === null) return { ...run, schedule, seed }
  // Replayed for its lines: keeping them in every run would cost more than this.
  return { ...runSchedule({ ...options, random: options.random(), trace: true }), schedule, seed }
}

export const NOTHING: TwinsTally = { schedules: 0, failures: [], batches: 0, happenings: {} }

export function tally(reports: Iterable<TwinsReport>): TwinsTally {
  let sum = NOTHING
  for (const { failure, batches, happenings, ...rest } of reports) {
    const failures = failure === null ? [] : [{ failure, batches, happenings, ...rest }]
    sum = added(sum, { schedules: 1, failures, batches, happenings })
  }
  return sum
}

export function added(a: TwinsTally, b: TwinsTally): TwinsTally {
  const happenings = { ...a.happenings }
  for (const [what, count] of Object.entries(b.happenings)) happenings[what] = (happenings[what] ?? 0) + count
  return {
    schedules: a.schedules + b.schedules,
    failures: [...a.failures, ...b.failures],
    batches: a.batches + b.batches,
    happenings,
  }
}
