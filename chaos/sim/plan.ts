import { CLIENT_BEHAVIOUR_NAMES, type ClientBehaviour } from '../../client/byzantine/behaviour.ts'
import type { Named } from '../../protocol/byzantine/grammar.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { CLIENT_ID_MIN, type ClientId, clientId } from '../../protocol/types.ts'
import { BEHAVIOUR_NAMES, type Behaviour } from '../../replica/byzantine/behaviour.ts'
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
  | 'flapping'
  | 'lonely-primary'
  | 'crash'
  | 'power'
  | 'absence'
  | 'pause'
  | 'database'
  | 'slow-disk'
  | 'lost-log'
  | 'lost-database'
  | 'tampered-rows'
  | 'failpoint'
  | 'client-restart'
  | 'clock-skew'
  | 'clock-rate'
  | 'liars'
  | 'lying-clients'

/** Liars by choice: all of these behaviours at each of `count` replicas; f of them when it is left out. */
export type Byzantine = { readonly behaviours: readonly Behaviour[]; readonly count?: number }

export const FAULT_KINDS: readonly FaultKind[] = [
  'loss',
  'duplication',
  'reorder',
  'corruption',
  'replay',
  'junk',
  'partition',
  'flapping',
  'lonely-primary',
  'crash',
  'power',
  'absence',
  'pause',
  'database',
  'slow-disk',
  'lost-log',
  'lost-database',
  'tampered-rows',
  'failpoint',
  'client-restart',
  'clock-skew',
  'clock-rate',
  'liars',
  'lying-clients',
]
/** Each makes its victim one of the f while it lasts. */
const STORAGE_FAULTS: readonly FaultKind[] = ['lost-log', 'lost-database', 'tampered-rows']

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
    readonly viewChangeTimeoutMs: number
    readonly scrubIntervalMs: number
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
    readonly flappingEveryMs: EveryMs
    readonly lonelyPrimaryEveryMs: EveryMs
  }
  /** How long a process is busy at most before it takes what came meanwhile: it shares turns and datagrams out. */
  readonly turnUs: number
  readonly disk: { readonly syncUs: number; readonly slowSyncUs: number; readonly slow: number }
  readonly database: {
    readonly runUs: number
    readonly batchUs: number
    readonly readUs: number
    readonly lossEveryMs: EveryMs
    /** Between a held state and its root [CP3]; one step of a transfer [CP4]. */
    readonly rootUs: number
    readonly stepUs: number
  }
  readonly processes: {
    readonly crashEveryMs: EveryMs
    readonly powerEveryMs: EveryMs
    readonly absence: boolean
    readonly downMsMax: number
    readonly pauseEveryMs: EveryMs
    readonly failpointEveryMs: EveryMs
    /** One rate of the clock for each replica; 1 is true time. */
    readonly clockRates: readonly number[]
    readonly clockJumpEveryMs: EveryMs
  }
  /** Faults of the f: they are made only while fewer than f replicas are faulty. */
  readonly storage: {
    readonly lostLogEveryMs: EveryMs
    readonly lostDatabaseEveryMs: EveryMs
    readonly tamperEveryMs: EveryMs
  }
  /** They lie to the end, also when all else is healed. At most f, unless more were asked for. */
  readonly liars: readonly { readonly replica: number; readonly behaviours: readonly Behaviour[] }[]
  /** Customers, never tellers, who may move anybody's money. They lie until every correct client has its answers. */
  readonly lyingClients: readonly {
    readonly client: ClientId
    readonly behaviours: readonly ClientBehaviour[]
  }[]
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

/** Mostly the two sizes that matter most, now and then the others. */
const SIZES = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 7, 7, 7, 7, 5, 10, 13]

/** What a seed means: the same seed, replicas, clients and requests give the same plan for ever. */
export function drawPlan(
  random: Random,
  asked: {
    readonly seed: number
    readonly replicas?: number
    readonly clients: number
    readonly requests: number
    readonly faults: FaultSelection
    readonly byzantine?: Byzantine
    /** One lying client that does all of these. */
    readonly byzantineClients?: readonly ClientBehaviour[]
  },
): Plan {
  const faults = drawFaults(random, asked.faults)
  const has = (kind: FaultKind) => faults.includes(kind)
  const strength = (kind: FaultKind, max: number) => (has(kind) ? random.skewed(max / 50, max) : 0)
  const every = (kind: FaultKind, [min, max]: readonly [number, number]): EveryMs =>
    has(kind) ? random.between(min, max) : null
  const latencyUs = random.skewed(50, 5_000)
  const replicas = asked.replicas ?? random.pick(SIZES)
  return {
    replicas,
    clients: asked.clients,
    requests: asked.requests,
    realCrypto: asked.seed % 10 === 0,
    faults,
    cluster: {
      checkpointInterval: random.pick([2, 3, 4, 4, 8, 8, 8, 16]),
      inFlightMax: random.pick([1, 1, 1, 2, 2, 3, 4, 8]),
      batchOperationsMax: random.pick([1, 2, 4, 8, 32, 500]),
      payloadBytes: random.pick([1_200, 1_200, 1_200, 8_000, 60_000]),
      statusBusyMs: random.pick([20, 50, 100]),
      statusIdleMs: random.pick([200, 500, 1_000]),
      viewChangeTimeoutMs: random.pick([60, 120, 250, 500]),
      scrubIntervalMs: random.pick([100, 250, 500]),
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
      flappingEveryMs: every('flapping', [100, 500]),
      lonelyPrimaryEveryMs: every('lonely-primary', [50, 500]),
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
      rootUs: random.skewed(200, 50_000),
      stepUs: random.skewed(100, 4_000),
    },
    processes: {
      crashEveryMs: every('crash', [40, 400]),
      powerEveryMs: every('power', [80, 500]),
      absence: has('absence'),
      downMsMax: random.skewed(20, 400),
      pauseEveryMs: every('pause', [40, 400]),
      failpointEveryMs: every('failpoint', [30, 300]),
      clockRates: Array.from({ length: replicas }, () =>
        has('clock-rate') ? random.pick([0.5, 0.9, 0.99, 1, 1.01, 1.1, 2]) : 1,
      ),
      clockJumpEveryMs: every('clock-rate', [100, 1_000]),
    },
    storage: {
      lostLogEveryMs: every('lost-log', [100, 600]),
      lostDatabaseEveryMs: every('lost-database', [100, 600]),
      tamperEveryMs: every('tampered-rows', [100, 600]),
    },
    liars: drawLiars(random, { replicas, faults, byzantine: asked.byzantine }),
    lyingClients: drawLyingClients(random, {
      clients: asked.clients,
      isAsked: has('lying-clients'),
      behaviours: asked.byzantineClients,
    }),
    clientSide: {
      restartEveryMs: every('client-restart', [50, 400]),
      skewUs: has('clock-skew') ? random.int(1_000, 10_000_000) : 0,
      concurrency: random.int(1, 4),
      lanes: random.int(1, 3),
      thinkUs: random.skewed(100, 20_000),
      deadlineMs: random.skewed(150, 3_000),
    },
    faultsUntilMs: random.between(500, 3_000),
  }
}

function drawFaults(random: Random, selection: FaultSelection): readonly FaultKind[] {
  if (selection === 'none') return []
  if (selection === 'all') return FAULT_KINDS
  if (selection !== 'swarm') return selection
  const likelihood = random.between(0.15, 0.8)
  return FAULT_KINDS.filter(() => random.chance(likelihood))
}

/** How many behaviours one liar combines at most. */
const BEHAVIOURS_MAX = 3
const LYING_CLIENTS_MAX = 2

/** Liars and storage faults share the f: where a run has both, chance leaves room for either. */
function drawLiars(
  random: Random,
  {
    replicas,
    faults,
    byzantine,
  }: {
    readonly replicas: number
    readonly faults: readonly FaultKind[]
    readonly byzantine: Byzantine | undefined
  },
): Plan['liars'] {
  if (byzantine === undefined && !faults.includes('liars')) return []
  const { f } = quorumOf(replicas)
  const drawn = () => random.int(faults.some((kind) => STORAGE_FAULTS.includes(kind)) ? 0 : 1, f)
  const count = byzantine === undefined ? drawn() : (byzantine.count ?? f)
  // The first primary, and the first to make a NEW-VIEW, are where a lie tells most.
  const first = random.int(0, random.chance(0.6) ? 1 : replicas - 1)
  return Array.from({ length: count }, (_, index) => ({
    replica: (first + index) % replicas,
    behaviours: byzantine?.behaviours ?? drawBehaviours(random, BEHAVIOUR_NAMES),
  }))
}

function drawLyingClients(
  random: Random,
  {
    clients,
    isAsked,
    behaviours,
  }: {
    readonly clients: number
    readonly isAsked: boolean
    readonly behaviours: readonly ClientBehaviour[] | undefined
  },
): Plan['lyingClients'] {
  if (behaviours === undefined && !isAsked) return []
  const customers = Array.from({ length: Math.floor(clients / 2) }, (_, i) =>
    clientId(CLIENT_ID_MIN + 2 * i + 1),
  )
  const count = behaviours === undefined ? random.int(1, LYING_CLIENTS_MAX) : 1
  return random
    .shuffled(customers)
    .slice(0, count)
    .map((client) => ({ client, behaviours: behaviours ?? drawBehaviours(random, CLIENT_BEHAVIOUR_NAMES) }))
}

const drawBehaviours = <Name extends string>(
  random: Random,
  names: readonly Name[],
): readonly Named<Name>[] =>
  random
    .shuffled(names)
    .slice(0, random.int(1, BEHAVIOURS_MAX))
    .map((name) => ({ name, targets: [] }))
