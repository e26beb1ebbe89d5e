import { ACCOUNTS } from '../../sim/genesis.ts'
import { Random } from '../../sim/random.ts'
import { Simulation } from '../../sim/simulation.ts'
import { Violation } from '../../sim/violation.ts'
import type { Job } from '../../sim/workload.ts'
import type { Cell, Settings } from './choices.ts'
import { Gauge } from './gauge.ts'
import type { FaultRun } from './result.ts'
import { planOf } from './sim-plan.ts'

export type SimJob = {
  readonly cell: Cell
  readonly settings: Settings
  readonly seed: number
  /** Of its cell, from 1. */
  readonly run: number
}

const MICROSECONDS = 1_000

/** One run in simulated time: equal jobs give equal results. Broken safety ends it, and is part of the result. */
export function runSimulated({ cell, settings, seed, run }: SimJob): FaultRun {
  const random = new Random(seed)
  const gauge: Gauge = new Gauge({
    isLiar: (replica) => replica < cell.malicious,
    nowMs: () => simulation.world.queue.nowUs / MICROSECONDS,
  })
  const simulation: Simulation = new Simulation({
    plan: planOf(cell, settings),
    random,
    verbose: false,
    sabotage: {},
    clients: { draw: drawWrite, probe: gauge },
  })
  const violation = violationOf(() => simulation.measure(() => gauge.silentMs > settings.deadlineMs))
  const { deadlineMs, writes } = settings
  return {
    ...cell,
    runtime: 'sim',
    seed,
    run,
    writes,
    latenciesMs: gauge.latenciesMs.filter((ms) => ms <= deadlineMs).map(rounded),
    violation,
    seconds: rounded(gauge.elapsedMs) / 1_000,
    batches: simulation.height,
    viewChanges: gauge.highestView,
    messages: Object.fromEntries([...gauge.messages].sort(([a], [b]) => (a < b ? -1 : 1))),
    datagrams: simulation.world.network.datagrams,
  }
}

function violationOf(work: () => void): string | null {
  try {
    work()
    return null
  } catch (error) {
    if (error instanceof Violation) return `${error.kind}: ${error.message}`
    throw error
  }
}

/** Whether the bank refuses it is all one: it is ordered, executed and answered like any other. */
function drawWrite(random: Random): Job {
  const operation = { kind: 'transfer' as const, amount: 1n }
  return {
    kind: 'submit',
    operations: [{ ...operation, from: random.pick(ACCOUNTS), to: random.pick(ACCOUNTS) }],
  }
}

const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000
