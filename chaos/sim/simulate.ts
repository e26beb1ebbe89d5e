/**
 * The deterministic simulator: n replicas and their clients in one process, real core, client core, codec, channel,
 * vote-log frames and bank; simulated clock, network, disks and databases. One seed replays one run bit for bit.
 *
 *   simulate({ seed: 7 })                          one run; never throws for what the run did, see `failure`
 *   for (const report of campaign({ fromSeed: 1, runs: 100 })) ...     one report at a time, for progress
 *   for await (const report of campaignInParallel({ fromSeed: 1, runs: 1000, workers: 2 })) ...     parallel.ts
 *   summarize(reports)                             what happened how often: the campaign's *sometimes* assertions
 *   formatFailure(report)                          the seed, the command that replays it, what failed, the last lines
 *
 * A run has two phases. First *safety*: each seed draws which faults are on and how strong (see plan.ts), and after
 * each event the checks of check/ look at what changed: agreement, executed once, money conserved, no promise
 * contradicted or sent before it was durable, each NEW-VIEW computed again, each state root the model's, answers equal to
 * what was executed and never older than what was known. At most f replicas lie, miss their log or their rows, or have
 * rows changed by hand at a time; crashes, power cuts and partitions may strike any number.
 * Then *liveness*: everything heals; every request must complete, all replicas become equal and vote while the cluster
 * is idle, and every checkpoint that a quorum signed becomes stable. What is stuck is named. Time-outs are in simulated
 * time.
 *
 * For the command `pbft simulate --seed N [--runs M] [--replicas N] [--clients C] [--requests R]
 * [--faults swarm|all|none|KIND,KIND...] [--byzantine B [--liars L]] [--byzzfuzz] [--byzantine-clients B] [--trace]`: exit 0 when no report has a failure and nothing is
 * `missing`, else 1 with `formatFailure` of each; `--trace` asks for `trace: true` and prints `report.lines`. `report.command` names just these flags.
 */
import { type ClientBehaviour, formatClientBehaviours } from '../../client/byzantine/behaviour.ts'
import { formatBehaviours } from '../../replica/byzantine/behaviour.ts'
import { byzzfuzz } from './byzzfuzz/byzzfuzz.ts'
import { type Byzantine, drawPlan, type FaultSelection, type Plan } from './plan.ts'
import { Random } from './random.ts'
import type { Sabotage } from './sabotage.ts'
import { Simulation } from './simulation.ts'
import { type Never, neverHappened, SOMETIMES_RUNS_MIN } from './sometimes.ts'
import { Violation, type ViolationKind } from './violation.ts'

export { FAULT_KINDS, type FaultKind, type FaultSelection, type Plan } from './plan.ts'
export type { Sabotage } from './sabotage.ts'
export { neverHappened, SOMETIMES, SOMETIMES_RUNS_MIN } from './sometimes.ts'
export type { ViolationKind } from './violation.ts'

const FAILURE_LINES = 40
/** What a run has when nothing else is said. */
export const DEFAULT_LOAD = { clients: 8, requests: 200 } as const
/** What its liar does is drawn elsewhere. */
const FUZZED: Byzantine = { behaviours: [], count: 1 }

export type SimOptions = {
  /** A whole number; its lower 32 bits count. */
  readonly seed: number
  /** Drawn from the seed when left out: mostly 4. */
  readonly replicas?: number
  /** 8 when left out. */
  readonly clients?: number
  /** Calls over all clients; 200 when left out. */
  readonly requests?: number
  /** 'swarm' when left out. */
  readonly faults?: FaultSelection
  /** In place of liars that the seed draws; which replicas they are it still draws. */
  readonly byzantine?: Byzantine
  /** One liar and the network have a few small faults, by type of message and round, in place of behaviours. */
  readonly byzzfuzz?: boolean
  /** What one lying client does, in place of those that the seed draws; which one it is it still draws. */
  readonly byzantineClients?: readonly ClientBehaviour[]
  /** Keep a line of text for each message and event. */
  readonly trace?: boolean
  /** Breaks replicas on purpose. */
  readonly sabotage?: Sabotage
}

export type SimFailure = { readonly kind: ViolationKind; readonly message: string; readonly atMs: number }

export type SimReport = {
  readonly seed: number
  /** What replays it: `pbft simulate --seed N ...`. */
  readonly command: string
  readonly plan: Plan
  readonly failure: SimFailure | null
  /** Equal for equal runs. */
  readonly traceHash: string
  /** Only under `trace`, or when it failed. */
  readonly lines: readonly string[]
  readonly simulatedMs: number
  /** When the last request was over; null: never. */
  readonly completeMs: number | null
  readonly batches: number
  readonly datagrams: number
  readonly happenings: Readonly<Record<string, number>>
}

export function simulate(options: SimOptions): SimReport {
  const report = runOnce(options)
  if (report.failure === null || options.trace === true) return report
  // The run is replayed for its lines: keeping them in every run would cost more than this.
  return runOnce({ ...options, trace: true })
}

function runOnce(options: SimOptions): SimReport {
  const random = new Random(options.seed)
  const {
    seed,
    clients = DEFAULT_LOAD.clients,
    requests = DEFAULT_LOAD.requests,
    faults = 'swarm',
    replicas,
    byzantineClients,
  } = options
  const byzantine = options.byzzfuzz === true ? FUZZED : options.byzantine
  const plan = drawPlan(random, {
    seed,
    clients,
    requests,
    faults,
    ...(replicas === undefined ? {} : { replicas }),
    ...(byzantine === undefined ? {} : { byzantine }),
    ...(byzantineClients === undefined ? {} : { byzantineClients }),
  })
  const fuzz = options.byzzfuzz === true ? byzzfuzz({ seed, replicas: plan.replicas }) : {}
  const simulation = new Simulation({
    plan,
    random,
    verbose: options.trace === true,
    sabotage: { ...fuzz, ...options.sabotage },
  })
  const { world } = simulation
  const failure = attempt(simulation)
  return {
    seed,
    command: commandOf(options),
    plan,
    failure,
    traceHash: world.trace.hash,
    lines: world.trace.lines,
    simulatedMs: world.queue.nowUs / 1000,
    completeMs: simulation.completeMs,
    batches: simulation.height,
    datagrams: world.network.datagrams,
    happenings: world.happenings.snapshot(),
  }
}

/** Only what differs from the defaults. Sabotage has no flag: it is for tests. */
function commandOf(options: SimOptions): string {
  const { seed, replicas, clients, requests, faults, byzantine, byzantineClients, byzzfuzz } = options
  const flags: string[] = [`--seed ${seed}`, '--runs 1']
  if (replicas !== undefined) flags.push(`--replicas ${replicas}`)
  if (clients !== undefined && clients !== DEFAULT_LOAD.clients) flags.push(`--clients ${clients}`)
  if (requests !== undefined && requests !== DEFAULT_LOAD.requests) flags.push(`--requests ${requests}`)
  if (faults !== undefined && faults !== 'swarm') {
    flags.push(`--faults ${typeof faults === 'string' ? faults : faults.join(',')}`)
  }
  if (byzantine !== undefined) {
    flags.push(`--byzantine "${formatBehaviours(byzantine.behaviours)}"`)
    if (byzantine.count !== undefined) flags.push(`--liars ${byzantine.count}`)
  }
  if (byzzfuzz === true) flags.push('--byzzfuzz')
  if (byzantineClients !== undefined) {
    flags.push(`--byzantine-clients "${formatClientBehaviours(byzantineClients)}"`)
  }
  return `pbft simulate ${flags.join(' ')}`
}

function attempt(simulation: Simulation): SimFailure | null {
  const at = () => simulation.world.queue.nowUs / 1000
  try {
    simulation.run()
    return null
  } catch (error) {
    if (error instanceof Violation) {
      const cause = error.cause instanceof Error ? `\n${error.cause.stack}` : ''
      return { kind: error.kind, message: error.message + cause, atMs: at() }
    }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { kind: 'exception', message, atMs: at() }
  }
}

export type CampaignOptions = Omit<SimOptions, 'seed' | 'trace'> & {
  readonly fromSeed: number
  readonly runs: number
}

/** The runs of consecutive seeds, one at a time. */
export function* campaign({ fromSeed, runs, ...options }: CampaignOptions): Generator<SimReport> {
  for (let seed = fromSeed; seed < fromSeed + runs; seed++) yield simulate({ ...options, seed })
}

export type CampaignSummary = {
  readonly runs: number
  readonly failures: readonly SimReport[]
  /** Over all runs, in order of name. */
  readonly happenings: Readonly<Record<string, number>>
  /** What such a campaign must have seen and did not: it failed, too. Empty for a short one, or one of few faults. */
  readonly missing: readonly Never[]
}

export async function summarize(
  reports: Iterable<SimReport> | AsyncIterable<SimReport>,
  {
    faults = 'swarm',
    replicas,
    byzantine,
    byzantineClients,
  }: Pick<SimOptions, 'faults' | 'replicas' | 'byzantine' | 'byzantineClients'> = {},
): Promise<CampaignSummary> {
  const totals = new Map<string, number>()
  const failures: SimReport[] = []
  let runs = 0
  for await (const report of reports) {
    runs += 1
    if (report.failure !== null) failures.push(report)
    for (const [name, count] of Object.entries(report.happenings)) {
      totals.set(name, (totals.get(name) ?? 0) + count)
    }
  }
  const happenings = Object.fromEntries([...totals].sort(([a], [b]) => (a < b ? -1 : 1)))
  const isBroad =
    (faults === 'swarm' || faults === 'all') &&
    [replicas, byzantine, byzantineClients].every((fixed) => fixed === undefined)
  const missing = isBroad && runs >= SOMETIMES_RUNS_MIN ? neverHappened(happenings) : []
  return { runs, failures, happenings, missing }
}

/** For people: what failed and how to see it again. */
export function formatFailure(report: SimReport): string {
  const { seed, failure, plan, lines } = report
  if (failure === null) return `seed ${seed}: no failure`
  const liars = plan.liars
    .map(({ replica, behaviours }) => ` liar r${replica} (${formatBehaviours(behaviours)})`)
    .join('')
  const lyingClients = plan.lyingClients
    .map(({ client, behaviours }) => ` liar c${client} (${formatClientBehaviours(behaviours)})`)
    .join('')
  return [
    `seed ${seed} failed at ${failure.atMs.toFixed(3)} ms: ${failure.kind}: ${failure.message}`,
    `n=${plan.replicas} K=${plan.cluster.checkpointInterval} in flight ${plan.cluster.inFlightMax}${liars}${lyingClients}, faults: ${plan.faults.join(' ') || 'none'}`,
    ...lines.slice(-FAILURE_LINES),
    `again: ${report.command}`,
  ].join('\n')
}
