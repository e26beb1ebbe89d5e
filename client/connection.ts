import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import {
  type ChannelEvent,
  DEFAULT_CHANNEL_LIMITS,
  type EndpointConfig,
  type PeerIdentity,
} from '../protocol/channel/endpoint.ts'
import { sodiumChannelCrypto } from '../protocol/channel-crypto.ts'
import { ConfigError } from '../protocol/config.ts'
import { type RunningEndpoint, startEndpoint } from '../protocol/endpoint-driver.ts'
import { principalId, replicaId } from '../protocol/types.ts'
import { formatAddress } from '../protocol/udp.ts'
import type { ClusterFiles } from './files.ts'

/**
 * A client's channel to all replicas of a cluster, on a free port: handshakes have begun when it resolves.
 * @throws ConfigError for a host name that does not resolve
 */
export async function openConnection(
  files: ClusterFiles,
  onEvents: (events: readonly ChannelEvent[]) => void,
): Promise<RunningEndpoint> {
  const replicas = await Promise.all(
    files.cluster.replicas.map(async ({ id, host, port }) => ({ id, ip: await resolveHost(host), port })),
  )
  const endpoint = await startEndpoint({
    host: localHostFor(replicas.map(({ ip }) => ip)),
    port: 0,
    config: endpointConfigOf(files),
    crypto: sodiumChannelCrypto(files.key.keyPair),
    onEvents,
  })
  for (const { id, ip, port } of replicas) endpoint.connect(replicaId(id), formatAddress(ip, port))
  return endpoint
}

export function endpointConfigOf({ genesis, cluster, key }: ClusterFiles): EndpointConfig {
  const identities = new Map<number, PeerIdentity>()
  for (const { id, publicKey } of [...genesis.replicas, ...genesis.clients]) {
    identities.set(id, { id: principalId(id), publicKey: Buffer.from(publicKey, 'hex') })
  }
  return {
    self: key.id,
    clusterId: Buffer.from(genesis.clusterId, 'hex'),
    genesisDigest: genesis.digest,
    peers: (id) => identities.get(id),
    limits: { ...DEFAULT_CHANNEL_LIMITS, payloadBytes: cluster.tuning.payloadBytes },
  }
}

async function resolveHost(host: string): Promise<string> {
  if (isIP(host) !== 0) return host
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw new ConfigError(`cluster.json: replicas: the host name ${host} does not resolve`, { cause })
  }
}

/** Bound to loopback where that reaches everybody. */
function localHostFor(ips: readonly string[]): string {
  if (ips.every((ip) => ip.startsWith('127.'))) return '127.0.0.1'
  return ips.some((ip) => isIP(ip) === 6) ? '::' : '0.0.0.0'
}
