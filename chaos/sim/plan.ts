import type { Random } from './random.ts'

/** Which faults a run may have; each seed draws how strong those it has are. */
export type FaultKind =
  | 'loss'
  | 'duplication'
  | 'reorder'
  | 'corruption'
  | 'replay'
  | 'junk'
  | 'partition'
  | 'crash'
  | 'power'
  | 'absence'
  | 'database'
  | 'slow-disk'
  | 'client-restart'
  | 'clock-skew'
  | 'bad-commits'

export const FAULT_KINDS: readonly FaultKind[] = [
  'loss',
  'duplication',
  'reorder',
  'corruption',
  'replay',
  'junk',
  'partition',
  'crash',
  'power',
  'absence',
  'database',
  'slow-disk',
  'client-restart',
  'clock-skew',
  'bad-commits',
]

/** 'swarm': a random subset per seed; 'all': every kind; 'none': a quiet network and no crashes. */
export type FaultSelection = 'swarm' | 'all' | 'none' | readonly FaultKind[]

/** Milliseconds of simulated time between two of a kind; null: none. */
type EveryMs = number | null

export type Plan = {
  readonly replicas: number
  readonly clients: number
  readonly requests: number
  readonly realCrypto: boolean
  readonly faults: readonly FaultKind[]
  readonly cluster: {
    readonly checkpointInterval: number
    readonly inFlightMax: number
    readonly batchOperationsMax: number
    readonly payloadBytes: number
    readonly statusBusyMs: number
    readonly statusIdleMs: number
  }
  readonly network: {
    readonly latencyUs: number
    readonly jitterUs: number
    readonly loss: number
    readonly duplication: number
    /** Probability, and how much later than its turn such a datagram comes. */
    readonly reorder: number
    readonly reorderUs: number
    readonly corruption: number
    readonly replay: number
    readonly junkEveryMs: EveryMs
    readonly partitionEveryMs: EveryMs
  }
  /** How long a process is busy at most before it takes what came meanwhile: it shares turns and datagrams out. */
  readonly turnUs: number
  readonly disk: { readonly syncUs: number; readonly slowSyncUs: number; readonly slow: number }
  readonly database: {
    readonly runUs: number
    readonly batchUs: number
    readonly readUs: number
    readonly lossEveryMs: EveryMs
  }
  readonly processes: {
    readonly crashEveryMs: EveryMs
    readonly powerEveryMs: EveryMs
    readonly absence: boolean
    readonly downMsMax: number
  }
  /** The replica whose COMMITs carry wrong signatures: counted by the others, worthless as a proof [NC4]. */
  readonly liar: number | null
  readonly clientSide: {
    readonly restartEveryMs: EveryMs
    readonly skewUs: number
    readonly concurrency: number
    readonly lanes: number
    readonly thinkUs: number
    readonly deadlineMs: number
  }
  /** Faults end here at the latest. */
  readonly faultsUntilMs: number
}

/** What a seed means: the same seed, replicas, clients and requests give the same plan for ever. */
export function drawPlan(
  random: Random,
  asked: {
    readonly seed: number
    readonly replicas?: number
    readonly clients: number
    readonly requests: number
    readonly faults: FaultSelection
  },
): Plan {
  const faults = drawFaults(random, asked.faults)
  const has = (kind: FaultKind) => faults.includes(kind)
  const strength = (kind: FaultKind, max: number) => (has(kind) ? random.skewed(max / 50, max) : 0)
  const every = (kind: FaultKind, [min, max]: readonly [number, number]): EveryMs =>
    has(kind) ? random.between(min, max) : null
  const latencyUs = random.skewed(50, 5_000)
  const replicas = asked.replicas ?? random.pick([4, 4, 4, 4, 4, 4, 4, 4, 5, 7])
  return {
    replicas,
    clients: asked.clients,
    requests: asked.requests,
    realCrypto: asked.seed % 10 === 0,
    faults,
    cluster: {
      checkpointInterval: random.pick([2, 4, 8, 8, 8, 16, 32, 128]),
      inFlightMax: random.pick([1, 1, 1, 2, 2, 3, 4, 8]),
      batchOperationsMax: random.pick([1, 2, 4, 8, 32, 500]),
      payloadBytes: random.pick([1_200, 1_200, 1_200, 8_000, 60_000]),
      statusBusyMs: random.pick([20, 50, 100]),
      statusIdleMs: random.pick([200, 500, 1_000]),
    },
    network: {
      latencyUs,
      jitterUs: random.between(0, latencyUs),
      loss: strength('loss', 0.25),
      duplication: strength('duplication', 0.2),
      reorder: strength('reorder', 0.3),
      reorderUs: random.skewed(500, 50_000),
      corruption: strength('corruption', 0.05),
      replay: strength('replay', 0.05),
      junkEveryMs: every('junk', [1, 20]),
      partitionEveryMs: every('partition', [50, 400]),
    },
    turnUs: random.skewed(50, 2_000),
    disk: {
      syncUs: random.skewed(80, 3_000),
      slowSyncUs: random.skewed(5_000, 80_000),
      slow: strength('slow-disk', 0.1),
    },
    database: {
      runUs: random.skewed(300, 4_000),
      batchUs: random.skewed(50, 1_000),
      readUs: random.skewed(200, 2_000),
      lossEveryMs: every('database', [40, 400]),
    },
    processes: {
      crashEveryMs: every('crash', [40, 400]),
      powerEveryMs: every('power', [80, 500]),
      absence: has('absence'),
      downMsMax: random.skewed(20, 400),
    },
    liar: has('bad-commits') ? random.int(0, replicas - 1) : null,
    clientSide: {
      restartEveryMs: every('client-restart', [50, 400]),
      skewUs: has('clock-skew') ? random.int(1_000, 10_000_000) : 0,
      concurrency: random.int(1, 4),
      lanes: random.int(1, 3),
      thinkUs: random.skewed(100, 20_000),
      deadlineMs: random.skewed(150, 3_000),
    },
    faultsUntilMs: random.between(500, 2_000),
  }
}

function drawFaults(random: Random, selection: FaultSelection): readonly FaultKind[] {
  if (selection === 'none') return []
  if (selection === 'all') return FAULT_KINDS
  if (selection !== 'swarm') return selection
  const likelihood = random.between(0.15, 0.8)
  return FAULT_KINDS.filter(() => random.chance(likelihood))
}
