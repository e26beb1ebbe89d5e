import type { Plan } from '../../sim/plan.ts'
import { quietPlan } from '../../sim/quiet-plan.ts'
import { behavioursOf, type Cell, type Settings } from './choices.ts'

/** Only network and liars are not as they should be. */
export function planOf(cell: Cell, settings: Settings): Plan {
  const { replicas, drop, malicious } = cell
  const quiet = quietPlan({ replicas, clients: settings.clients, requests: settings.writes })
  return {
    ...quiet,
    cluster: { ...quiet.cluster, viewChangeTimeoutMs: settings.viewChangeTimeoutMs },
    network: {
      ...quiet.network,
      latencyUs: settings.delayMs.min * 1_000,
      jitterUs: (settings.delayMs.max - settings.delayMs.min) * 1_000,
      loss: drop,
    },
    liars: Array.from({ length: malicious }, (_, replica) => ({ replica, behaviours: behavioursOf(cell) })),
    clientSide: { ...quiet.clientSide, deadlineMs: settings.deadlineMs },
  }
}
