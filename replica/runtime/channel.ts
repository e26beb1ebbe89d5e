import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/limits.ts'
import { sodiumChannelCrypto } from '../../protocol/channel-crypto.ts'
import type { Clock } from '../../protocol/clock.ts'
import { keyPairFromSeed } from '../../protocol/crypto.ts'
import { type RunningEndpoint, startEndpoint } from '../../protocol/endpoint-driver.ts'
import { replicaId } from '../../protocol/types.ts'
import { formatAddress } from '../../protocol/udp.ts'
import type { Bundle } from './bundle.ts'
import type { Principals } from './verifier.ts'

/** Opens this replica's socket, and calls the other replicas. @throws UdpError */
export async function openChannel(
  { genesis, cluster, own }: Bundle,
  args: {
    readonly principals: Principals
    readonly clock: Clock
    readonly onEvents: (events: readonly ChannelEvent[]) => void
  },
): Promise<RunningEndpoint> {
  const { principals, clock, onEvents } = args
  const entry = cluster.replicas[own.id]
  if (entry === undefined) throw new Error('parseCluster checked that each replica has an address')
  const { secretKey } = keyPairFromSeed(Buffer.from(own.secretSeed, 'hex'))
  const endpoint = await startEndpoint({
    host: entry.host,
    port: entry.port,
    config: {
      self: replicaId(own.id),
      clusterId: Buffer.from(genesis.clusterId, 'hex'),
      genesisDigest: genesis.digest,
      peers: (id) => {
        const publicKey = principals.publicKey(id)
        return publicKey === undefined ? undefined : { id, publicKey }
      },
      limits: { ...DEFAULT_CHANNEL_LIMITS, payloadBytes: cluster.tuning.payloadBytes },
    },
    crypto: sodiumChannelCrypto({ secretKey }),
    onEvents,
    clock,
  })
  for (const { id, host, port } of cluster.replicas) {
    if (id !== own.id) endpoint.connect(replicaId(id), formatAddress(host, port))
  }
  return endpoint
}
