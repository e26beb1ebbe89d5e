import { DEFAULT_PARAMETERS, DEFAULT_TUNING } from '../../../protocol/config.ts'
import type { Plan } from '../../sim/plan.ts'
import { behavioursOf, type Cell, type Settings } from './choices.ts'

/** A cluster as it is shipped, on ordinary disks and databases; only network and liars are not as they should be. */
export const planOf = (cell: Cell, settings: Settings): Plan => ({
  replicas: cell.replicas,
  clients: settings.clients,
  requests: settings.writes,
  realCrypto: false,
  faults: [],
  cluster: {
    checkpointInterval: DEFAULT_PARAMETERS.checkpointInterval,
    batchOperationsMax: DEFAULT_PARAMETERS.batchOperationsMax,
    ...DEFAULT_TUNING,
    viewChangeTimeoutMs: settings.viewChangeTimeoutMs,
  },
  network: {
    latencyUs: settings.delayMs.min * 1_000,
    jitterUs: (settings.delayMs.max - settings.delayMs.min) * 1_000,
    loss: cell.drop,
    duplication: 0,
    reorder: 0,
    reorderUs: 0,
    corruption: 0,
    replay: 0,
    junkEveryMs: null,
    partitionEveryMs: null,
    flappingEveryMs: null,
    lonelyPrimaryEveryMs: null,
  },
  turnUs: 100,
  disk: { syncUs: 500, slowSyncUs: 500, slow: 0 },
  database: {
    runUs: 1_000,
    batchUs: 200,
    readUs: 500,
    lossEveryMs: null,
    rootUs: 2_000,
    stepUs: 500,
  },
  processes: {
    crashEveryMs: null,
    powerEveryMs: null,
    absence: false,
    downMsMax: 0,
    pauseEveryMs: null,
    failpointEveryMs: null,
    clockRates: Array.from({ length: cell.replicas }, () => 1),
    clockJumpEveryMs: null,
  },
  storage: { lostLogEveryMs: null, lostDatabaseEveryMs: null, tamperEveryMs: null },
  lyingClients: [],
  liars: Array.from({ length: cell.malicious }, (_, replica) => ({
    replica,
    behaviours: behavioursOf(cell),
  })),
  clientSide: {
    restartEveryMs: null,
    skewUs: 0,
    concurrency: 1,
    lanes: 1,
    thinkUs: 1_000,
    deadlineMs: settings.deadlineMs,
  },
  faultsUntilMs: 0,
})
