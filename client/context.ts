import type { Genesis } from '../protocol/config.ts'
import type { Request } from '../protocol/messages.ts'
import type { Operation } from '../protocol/operations.ts'
import { requestOf } from '../protocol/signed.ts'
import { signedBytes } from '../protocol/signing.ts'
import type { ClientId, Lane as LaneNumber, RequestNumber } from '../protocol/types.ts'
import type { Calls } from './calls.ts'
import type { ClientEffect } from './effects.ts'
import type { Latency, RetryLimits } from './latency.ts'
import type { Outcomes } from './outcomes.ts'
import type { Replicas } from './replicas.ts'

/** The client's own knobs, unit last. */
export type ClientLimits = RetryLimits & {
  /** Requests in flight [NC1]; at most genesis' lanesPerClientMax. */
  readonly lanes: number
  /**
   * Below so many operations a request is not divided over free lanes: a batch costs each replica milliseconds of CPU
   * whatever its size (docs/performance.md), more than a second one in flight gains.
   */
  readonly divideOperationsMin: number
  /** Operations that wait for a lane, and accounts that wait to be read. */
  readonly queueOperationsMax: number
  readonly readsInFlightMax: number
  /** Accounts in one READ. */
  readonly readAccountsMax: number
  /** Settled outcomes kept for `lookup`. */
  readonly outcomesMax: number
}

export const DEFAULT_CLIENT_LIMITS: ClientLimits = {
  lanes: 2,
  divideOperationsMin: 64,
  queueOperationsMax: 10_000,
  readsInFlightMax: 8,
  readAccountsMax: 256,
  outcomesMax: 1_000,
  retryMsInitial: 150,
  retryMsMin: 50,
  retryMsMax: 2_000,
}

/** What genesis fixes: all of it must agree with the replicas'. */
export type ClientConfig = ClientLimits & {
  readonly client: ClientId
  readonly clusterId: Uint8Array
  readonly replicas: number
  readonly lanesPerClientMax: number
  readonly requestOperationsMax: number
  readonly requestBytesMax: number
}

export function clientConfigOf(
  genesis: Genesis,
  client: ClientId,
  limits: Partial<ClientLimits> = {},
): ClientConfig {
  const { lanesPerClientMax, requestOperationsMax, requestBytesMax } = genesis.parameters
  return {
    ...DEFAULT_CLIENT_LIMITS,
    ...limits,
    client,
    clusterId: Buffer.from(genesis.clusterId, 'hex'),
    replicas: genesis.replicas.length,
    lanesPerClientMax,
    requestOperationsMax,
    requestBytesMax,
  }
}

export type ClientDeps = {
  /** Ed25519 by the client's key. */
  sign(bytes: Uint8Array): Uint8Array
  /** In [0, 1): jitter, first lane and first nonce. Not for secrets. */
  random(): number
}

/** What the parts of one client share. */
export type ClientContext = {
  readonly config: ClientConfig
  readonly deps: ClientDeps
  readonly effects: ClientEffect[]
  readonly replicas: Replicas
  readonly calls: Calls
  readonly latency: Latency
  readonly outcomes: Outcomes
}

/** [AU1] [AU4] Signs the digest of the body. */
export function makeRequest(
  { config, deps }: ClientContext,
  fields: {
    readonly lane: LaneNumber
    readonly number: RequestNumber
    readonly operations: readonly Operation[]
  },
): Request {
  const { client, clusterId } = config
  return requestOf({ client, ...fields }, (statement) => deps.sign(signedBytes(clusterId, statement)))
}
