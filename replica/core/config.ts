import type {
  LedgerEntry,
  NewView,
  PartitionNode,
  Request,
  Statement,
  ViewChange,
} from '../../protocol/messages.ts'
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
  /** T at first [NC8] [VC4]. */
  readonly viewChangeTimeoutMs: number
  /** Whether genesis admits this principal. */
  readonly isAdmitted: (id: PrincipalId) => boolean
}

/** Injected, so that the core has no key and no primitive of its own. */
export type CoreCrypto = {
  /** Signs as this replica. */
  readonly sign: (statement: Statement) => Uint8Array
  readonly batchDigest: (requests: readonly Request[]) => Digest
  /** Signed requests of this replica's own [D5]. */
  readonly request: (fields: Pick<Request, 'client' | 'lane' | 'number' | 'operations'>) => Request
  /** Laid out in bytes and signed as this replica. */
  readonly viewChange: (
    fields: Pick<ViewChange, 'newView' | 'lowWaterMark' | 'incarnation' | 'checkpoints' | 'prepared'>,
  ) => ViewChange
  readonly newView: (fields: Pick<NewView, 'view' | 'viewChanges' | 'headers'>) => NewView
  /** [CP2] Undefined for rows that are laid out wrongly. */
  readonly partitionDigest: (node: PartitionNode) => Digest | undefined
  /** [NC9] c_n. */
  readonly chainDigest: (entry: LedgerEntry) => Digest
}

/** [NC2] */
export const primaryOf = (view: View, { n }: Quorum): ReplicaId => (view % n) as ReplicaId

/** Every replica but this one. */
export function peersOf({ self, quorum }: CoreConfig): ReplicaId[] {
  return Array.from({ length: quorum.n }, (_, id) => id as ReplicaId).filter((id) => id !== self)
}
