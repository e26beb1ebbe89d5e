import { table } from '../../../client/format.ts'
import type { ReplicaEvidence } from '../evidence.ts'
import { CLIENTS, nameOf } from '../scenario.ts'

/** A row for each replica: where its database stands, and what every client has there. */
export function balanceLines(replicas: readonly ReplicaEvidence[]): string[] {
  const rows = replicas.map(({ replica, role, lastExecuted, balances }) => [
    nameOf(replica),
    role,
    balances === null ? '-' : `${lastExecuted}`,
    ...CLIENTS.map((client) => `${balances?.get(client) ?? '-'}`),
  ])
  return [table(['replica', '', 'seq', ...CLIENTS], rows)]
}
