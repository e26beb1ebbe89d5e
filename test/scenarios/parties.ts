import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import { DEFAULT_PARAMETERS, type Genesis, logWindowOf } from '../../protocol/config.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { Request, Statement } from '../../protocol/messages.ts'
import type { Operation } from '../../protocol/operations.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { newViewOf, requestOf as signedRequestOf, viewChangeOf } from '../../protocol/signed.ts'
import { batchDigestOf, signedBytes } from '../../protocol/signing.ts'
import {
  type ClientId,
  clientId,
  digestToBytes,
  isReplica,
  lane,
  type PrincipalId,
  type ReplicaId,
  replicaId,
  requestNumber,
} from '../../protocol/types.ts'
import type { CoreConfig, CoreCrypto } from '../../replica/core/config.ts'
import type { Claim } from '../../replica/core/effect.ts'

export const CLIENTS = { teller: clientId(1000), alice: clientId(1001), bob: clientId(1002) } as const
/** Known to nobody. */
export const STRANGER = clientId(1999)
export type ClientName = keyof typeof CLIENTS | 'stranger'

export function clientOf(name: string): ClientId {
  if (name === 'stranger') return STRANGER
  if (name === 'teller' || name === 'alice' || name === 'bob') return CLIENTS[name]
  throw new Error(`nobody is called ${name}`)
}

export function nameOf(id: PrincipalId): string {
  if (isReplica(id)) return `r${id}`
  return Object.entries(CLIENTS).find(([, known]) => known === id)?.[0] ?? `client ${id}`
}

const CLUSTER_ID = Buffer.alloc(16, 7)

/**
 * A cheap stand-in for Ed25519 that really verifies: a hash over the signer and everything signed. Another statement,
 * another signer or a changed byte does not verify.
 */
export function sign(statement: Statement): Buffer {
  const half = digestToBytes(digestOf(Buffer.from('stand-in'), signedBytes(CLUSTER_ID, statement)))
  return Buffer.concat([half, half])
}

export const isSigned = ({ statement, signature }: Claim): boolean =>
  Buffer.compare(sign(statement), signature) === 0

export const tampered = (signature: Uint8Array): Buffer => {
  const bytes = Buffer.from(signature)
  bytes[0] = (bytes[0] ?? 0) ^ 1
  return bytes
}

export const cryptoOf = (self: ReplicaId): CoreCrypto => ({
  sign,
  batchDigest: batchDigestOf,
  request: (fields) => signedRequestOf(fields, sign),
  viewChange: (fields) => viewChangeOf(fields, self, sign),
  newView: (fields) => newViewOf(fields, self, sign),
  partitionDigest,
  chainDigest: chainDigestOfEntry,
})

export function requestOf(args: {
  readonly client: ClientId
  readonly lane: number
  readonly number: number
  readonly operations: readonly Operation[]
  readonly macs?: readonly Uint8Array[]
}): Request {
  const { client, operations, macs = [] } = args
  const named = { client, lane: lane(args.lane), number: requestNumber(args.number), operations }
  return { ...signedRequestOf(named, sign), macs }
}

export type Shape = {
  readonly n: number
  /** K. */
  readonly k: number
  readonly inFlightMax: number
  readonly batchOperationsMax: number
}

export const DEFAULT_SHAPE: Shape = { n: 4, k: 128, inFlightMax: 4, batchOperationsMax: 500 }

/** Alice owns `a` (100) and `a2` (0), Bob `b` (50). */
export function genesisOf({ n, k, batchOperationsMax }: Shape): Genesis {
  const publicKey = '00'.repeat(32)
  const file = {
    version: 1 as const,
    clusterId: CLUSTER_ID.toString('hex'),
    allowByzantine: false,
    parameters: {
      ...DEFAULT_PARAMETERS,
      checkpointInterval: k,
      batchOperationsMax,
      lanesPerClientMax: 4,
      requestOperationsMax: 8,
    },
    replicas: Array.from({ length: n }, (_, id) => ({ id, publicKey })),
    clients: Object.entries(CLIENTS).map(([name, id]) => ({
      id,
      name,
      address: null,
      publicKey,
      role: name === 'teller' ? ('teller' as const) : ('customer' as const),
    })),
    accounts: [
      { id: 'a', owner: CLIENTS.alice, balance: 100n },
      { id: 'a2', owner: CLIENTS.alice, balance: 0n },
      { id: 'b', owner: CLIENTS.bob, balance: 50n },
    ],
  }
  return { ...file, digest: digestOf(Buffer.from(`genesis n=${n} k=${k}`)) }
}

export const STATUS_BUSY_MS = 100
export const STATUS_IDLE_MS = 1_000
export const VIEW_CHANGE_TIMEOUT_MS = 500

export function configOf(shape: Shape, genesis: Genesis, self: number): CoreConfig {
  const admitted = new Set<number>([...genesis.replicas, ...genesis.clients].map(({ id }) => id))
  return {
    self: replicaId(self),
    quorum: quorumOf(shape.n),
    ...genesis.parameters,
    logWindow: logWindowOf(genesis.parameters),
    inFlightMax: shape.inFlightMax,
    statusBusyMs: STATUS_BUSY_MS,
    statusIdleMs: STATUS_IDLE_MS,
    viewChangeTimeoutMs: VIEW_CHANGE_TIMEOUT_MS,
    isAdmitted: (id) => admitted.has(id),
  }
}
