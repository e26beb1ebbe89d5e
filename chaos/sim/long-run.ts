import { drawPlan, type Plan } from './plan.ts'
import { Random } from './random.ts'
import type { Sabotage } from './sabotage.ts'
import { Simulation } from './simulation.ts'

const MINUTE_US = 60_000_000
/** At the end nothing more is asked, so that all that was asked can be over. */
const IDLE_END_US = 30_000_000
const CLIENTS = 6
/** How far the replicas' clocks run from true time: as quartz does, and ten times worse. */
const CLOCK_RATES = [1, 0.999, 1.001, 1.000_1]

/** How the load goes on from one moment to the next. */
type Phase = { readonly lastsMs: number; readonly clients: number; readonly requestsEach: number }

export type LongRunReport = {
  /** Calls that were given to clients, and those that are over. */
  readonly given: number
  readonly done: number
  readonly happenings: Readonly<Record<string, number>>
}

export type LongRunOptions = {
  readonly seed: number
  readonly minutes: number
  /** 'changing': idle, one client, some, bursts of all; 'steady': two clients without a pause between calls but their own. */
  readonly load: 'changing' | 'steady'
  readonly sabotage?: (simulation: () => Simulation) => Sabotage
  readonly cluster?: Partial<Plan['cluster']>
}

/**
 * A cluster of four on a quiet network, without faults, for so many simulated minutes. Disks, databases, network and batch
 * sizes are what the seed draws.
 * @throws Violation
 */
export function longRun({ seed, minutes, load, sabotage, cluster }: LongRunOptions): LongRunReport {
  const random = new Random(seed)
  const drawn = drawPlan(random, { seed, clients: CLIENTS, requests: 0, replicas: 4, faults: 'none' })
  const plan: Plan = {
    ...drawn,
    realCrypto: false,
    cluster: {
      ...drawn.cluster,
      statusBusyMs: 100,
      statusIdleMs: 1_000,
      scrubIntervalMs: 60_000,
      ...cluster,
    },
    processes: { ...drawn.processes, clockRates: CLOCK_RATES },
    clientSide: { ...drawn.clientSide, deadlineMs: 10_000, ...(load === 'steady' ? STEADY : {}) },
  }
  const simulation: Simulation = new Simulation({
    plan,
    random,
    verbose: false,
    sabotage: sabotage?.(() => simulation) ?? {},
  })
  const { queue, happenings } = simulation.world
  const loadRandom = new Random(seed + 1)
  const endUs = minutes * MINUTE_US
  let given = 0
  const give = ({ clients, requestsEach }: Phase) => {
    const first = loadRandom.int(0, CLIENTS - 1)
    for (let i = 0; i < clients; i++) simulation.clients.giveMore(requestsEach, (first + i) % CLIENTS)
    given += clients * requestsEach
  }
  const goOn = () => {
    const phase = load === 'steady' ? STEADY_PHASE : drawPhase(loadRandom)
    give(phase)
    const nextUs = queue.nowUs + phase.lastsMs * 1_000
    if (load === 'changing' && nextUs < endUs - IDLE_END_US) queue.at(Math.round(nextUs), goOn)
  }
  for (const machine of simulation.machines) machine.start()
  simulation.clients.start()
  goOn()
  while (queue.nextUs <= endUs) queue.runNext()
  return { given, done: given - simulation.clients.outstanding, happenings: happenings.snapshot() }
}

const STEADY = { concurrency: 1, lanes: 1, thinkUs: 200_000 }
const STEADY_PHASE: Phase = { lastsMs: 0, clients: 2, requestsEach: 1_000_000 }

function drawPhase(random: Random): Phase {
  const dice = random.float()
  if (dice < 0.3) return { lastsMs: random.skewed(1_000, 120_000), clients: 0, requestsEach: 0 }
  if (dice < 0.6) return { lastsMs: random.skewed(500, 10_000), clients: 1, requestsEach: random.int(1, 30) }
  const clients = random.int(2, CLIENTS)
  const requestsEach = dice < 0.85 ? random.int(1, 10) : random.int(20, 60)
  return { lastsMs: random.skewed(500, 20_000), clients, requestsEach }
}
