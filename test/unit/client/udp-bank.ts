import type { ClusterFiles } from '../../../client/files.ts'
import { DEFAULT_CHANNEL_LIMITS } from '../../../protocol/channel/endpoint.ts'
import { sodiumChannelCrypto } from '../../../protocol/channel-crypto.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../../protocol/codec.ts'
import { DEFAULT_PARAMETERS, DEFAULT_TUNING, type Genesis, parseGenesis } from '../../../protocol/config.ts'
import { keyPairFromSeed } from '../../../protocol/crypto.ts'
import { type RunningEndpoint, startEndpoint } from '../../../protocol/endpoint-driver.ts'
import type { Message } from '../../../protocol/messages.ts'
import { clientId, type PrincipalId, principalId } from '../../../protocol/types.ts'
import { FakeBank } from './fake-cluster.ts'

const keyOf = (id: number) => keyPairFromSeed(Buffer.alloc(32, id))
const hexKey = (id: number) => Buffer.from(keyOf(id).publicKey).toString('hex')

export const genesisText = JSON.stringify({
  version: 1,
  clusterId: '07'.repeat(16),
  allowByzantine: false,
  parameters: DEFAULT_PARAMETERS,
  replicas: [0, 1, 2, 3].map((id) => ({ id, publicKey: hexKey(id) })),
  clients: [{ id: 1000, name: 'bank', address: null, publicKey: hexKey(1000), role: 'teller' }],
  accounts: [],
})

/** The seed of principal `id` in `genesisText`. */
export const seedOf = (id: number): string => Buffer.alloc(32, id).toString('hex')

/** Four endpoints on loopback in this process that answer from one FakeBank: the channel and the client are real. */
export class UdpBank extends FakeBank {
  readonly #endpoints: RunningEndpoint[] = []
  readonly #files: ClusterFiles
  /** Replicas that take messages and say nothing. */
  readonly mute = new Set<number>()

  private constructor(files: ClusterFiles, endpoints: RunningEndpoint[]) {
    super()
    this.#files = files
    this.#endpoints = endpoints
  }

  get files(): ClusterFiles {
    return this.#files
  }

  static async start({ replicas = 4 } = {}): Promise<UdpBank> {
    const genesis = parseGenesis({ name: 'genesis.json', text: genesisText })
    const ids = Array.from({ length: replicas }, (_, id) => id)
    const endpoints: RunningEndpoint[] = []
    for (const id of ids) {
      endpoints.push(await startReplica(genesis, id, (from, message) => bank.#onMessage(id, from, message)))
    }
    const addresses = [0, 1, 2, 3].map((id) => {
      const port = Number(endpoints[id]?.address.split(':')[1] ?? 1)
      return { id, host: '127.0.0.1', port }
    })
    const files: ClusterFiles = {
      genesis,
      cluster: { version: 1, genesisDigest: genesis.digest, replicas: addresses, tuning: DEFAULT_TUNING },
      key: { id: clientId(1000), keyPair: keyOf(1000) },
    }
    const bank = new UdpBank(files, endpoints)
    return bank
  }

  async close(): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()))
  }

  #onMessage(to: number, from: PrincipalId, message: Message): void {
    if (message.type === 'read') this.#send(to, from, this.readReply(message))
    if (message.type !== 'request') return
    const fresh = this.order(message)
    for (const id of fresh ? [0, 1, 2, 3] : [to]) this.#send(id, from, this.answer(message))
  }

  #send(from: number, to: PrincipalId, message: Message): void {
    if (!this.mute.has(from)) this.#endpoints[from]?.send(to, Uint8Array.from(encodeMessage(message)))
  }
}

function startReplica(
  genesis: Genesis,
  id: number,
  onMessage: (from: PrincipalId, message: Message) => void,
): Promise<RunningEndpoint> {
  return startEndpoint({
    host: '127.0.0.1',
    port: 0,
    config: {
      self: principalId(id),
      clusterId: Buffer.from(genesis.clusterId, 'hex'),
      genesisDigest: genesis.digest,
      peers: (peer) => ({ id: principalId(peer), publicKey: keyOf(peer).publicKey }),
      limits: DEFAULT_CHANNEL_LIMITS,
    },
    crypto: sodiumChannelCrypto(keyOf(id)),
    onEvents: (events) => {
      for (const event of events) {
        if (event.type !== 'message') continue
        const message = decodeMessage(event.message)
        if (!isMalformed(message)) onMessage(event.from, message)
      }
    },
  })
}
