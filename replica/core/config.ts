import type { Request, Statement } from '../../protocol/messages.ts'
import type { Quorum } from '../../protocol/quorum.ts'
import type { Digest, PrincipalId, ReplicaId, View } from '../../protocol/types.ts'

/** What the core is told about its cluster and itself; names and units as in protocol/config.ts. */
export type CoreConfig = {
  readonly self: ReplicaId
  readonly quorum: Quorum
  /** K. */
  readonly checkpointInterval: number
  /** L = H - h. */
  readonly logWindow: number
  readonly batchOperationsMax: number
  readonly batchBytesMax: number
  readonly requestOperationsMax: number
  readonly requestBytesMax: number
  readonly lanesPerClientMax: number
  readonly inFlightMax: number
  readonly statusBusyMs: number
  readonly statusIdleMs: number
  /** Whether genesis admits this principal. */
  readonly isAdmitted: (id: PrincipalId) => boolean
}

/** Injected, so that the core has no key and no primitive of its own. */
export type CoreCrypto = {
  /** Signs as this replica. */
  readonly sign: (statement: Statement) => Uint8Array
  readonly batchDigest: (requests: readonly Request[]) => Digest
}

/** [NC2] */
export const primaryOf = (view: View, { n }: Quorum): ReplicaId => (view % n) as ReplicaId

/** Every replica but this one. */
export function peersOf({ self, quorum }: CoreConfig): ReplicaId[] {
  return Array.from({ length: quorum.n }, (_, id) => id as ReplicaId).filter((id) => id !== self)
}
