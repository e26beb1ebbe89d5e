import { DEFAULT_PARAMETERS, DEFAULT_TUNING } from '../../protocol/config.ts'
import type { Plan } from './plan.ts'

/** A cluster as it is shipped, on ordinary disks and databases, in a network that loses nothing; nobody lies. */
export const quietPlan = (of: {
  readonly replicas: number
  readonly clients: number
  readonly requests: number
}): Plan => ({
  ...of,
  realCrypto: false,
  faults: [],
  cluster: {
    checkpointInterval: DEFAULT_PARAMETERS.checkpointInterval,
    batchOperationsMax: DEFAULT_PARAMETERS.batchOperationsMax,
    ...DEFAULT_TUNING,
  },
  network: {
    latencyUs: 500,
    jitterUs: 500,
    loss: 0,
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
  database: { runUs: 1_000, batchUs: 200, readUs: 500, lossEveryMs: null, rootUs: 2_000, stepUs: 500 },
  processes: {
    crashEveryMs: null,
    powerEveryMs: null,
    absence: false,
    downMsMax: 0,
    pauseEveryMs: null,
    failpointEveryMs: null,
    clockRates: Array.from({ length: of.replicas }, () => 1),
    clockJumpEveryMs: null,
  },
  storage: { lostLogEveryMs: null, lostDatabaseEveryMs: null, tamperEveryMs: null },
  lyingClients: [],
  liars: [],
  clientSide: {
    restartEveryMs: null,
    skewUs: 0,
    concurrency: 1,
    lanes: 1,
    thinkUs: 1_000,
    deadlineMs: 10_000,
  },
  faultsUntilMs: 0,
})
