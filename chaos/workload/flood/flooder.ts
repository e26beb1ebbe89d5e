import { setTimeout as delay } from 'node:timers/promises'
import { endpointConfigOf } from '../../../client/connection.ts'
import type { ClusterFiles } from '../../../client/files.ts'
import { type ChannelLimits, Endpoint } from '../../../protocol/channel/endpoint.ts'
import { sodiumChannelCrypto } from '../../../protocol/channel-crypto.ts'
import { type ReplicaId, replicaId } from '../../../protocol/types.ts'
import { formatAddress, openUdp, type Udp } from '../../../protocol/udp.ts'
import { FLOOD_TICK_MS, type Flood, type FloodKind, floodOf } from './floods.ts'

export type FloodOrder = {
  readonly files: ClusterFiles
  readonly kind: FloodKind
  /** To each replica. */
  readonly perSecond: number
  /** A port that nobody listens on, which gets all that the replicas would get; undefined: they do. */
  readonly deadAddress?: string | undefined
}

const SESSIONS_WITHIN_MS = 10_000
const HUGE = 1 << 30

/** It waits for no acknowledgement: no window, no pace, and nothing is sent again because of silence. */
const boundless = (limits: ChannelLimits): ChannelLimits => ({
  ...limits,
  replica: { ...limits.replica, sendBytesPerPeerMax: HUGE, sendBytesTotalMax: HUGE, pollBytesMax: HUGE },
  idleTimeoutMs: HUGE,
  stallProbes: HUGE,
  ptoMsMin: HUGE,
  ptoMsMax: HUGE,
  windowBytesInitial: HUGE,
  windowBytesMin: HUGE,
  windowBytesMax: HUGE,
  pacingBurstBytes: HUGE,
})

/** One admitted client with sessions to all replicas that does nothing but flood, each message in a datagram of its own. */
export class Flooder {
  readonly #endpoint: Endpoint
  readonly #udp: Udp
  readonly #flood: Flood
  readonly #replicas: ReadonlyMap<ReplicaId, string>
  #deadAddress: string | undefined
  #timer: NodeJS.Timeout | undefined
  #sent = 0

  private constructor(order: FloodOrder, udp: Udp, endpoint: Endpoint) {
    this.#udp = udp
    this.#endpoint = endpoint
    this.#flood = floodOf(order.kind, order.perSecond, order.files)
    this.#replicas = new Map(
      order.files.cluster.replicas.map(({ id, host, port }) => [replicaId(id), formatAddress(host, port)]),
    )
  }

  /** Resolves once it floods. The hosts of the cluster's file must be addresses. */
  static async start(order: FloodOrder): Promise<Flooder> {
    const config = endpointConfigOf(order.files)
    const endpoint = new Endpoint(
      { ...config, limits: boundless(config.limits) },
      sodiumChannelCrypto(order.files.key.keyPair),
    )
    let flooder: Flooder | undefined
    const udp = await openUdp({
      host: '127.0.0.1',
      port: 0,
      onDatagram(bytes, from) {
        endpoint.receive(bytes, from, performance.now())
        flooder?.poll()
      },
    })
    flooder = new Flooder(order, udp, endpoint)
    await flooder.connect()
    flooder.flood(order.deadAddress)
    return flooder
  }

  private async connect(): Promise<void> {
    const signal = AbortSignal.timeout(SESSIONS_WITHIN_MS)
    for (const [id, address] of this.#replicas) this.#endpoint.connect(id, address, performance.now())
    while ([...this.#replicas.keys()].some((id) => !this.#endpoint.peerState(id).up)) {
      this.poll()
      await delay(FLOOD_TICK_MS, undefined, { signal })
    }
  }

  private flood(deadAddress: string | undefined): void {
    this.#deadAddress = deadAddress
    this.#timer = setInterval(() => this.tick(), FLOOD_TICK_MS)
  }

  private tick(): void {
    for (const say of this.#flood.tick()) {
      for (const [id, address] of this.#replicas) {
        for (const bytes of say(id)) {
          this.#sent += 1
          if (this.#flood.layer === 'message') this.#endpoint.send(id, bytes, performance.now())
          else this.#udp.send(this.#deadAddress ?? address, bytes)
        }
      }
      this.poll()
    }
  }

  private poll(): void {
    for (const { to, bytes } of this.#endpoint.poll(performance.now()).datagrams) {
      this.#udp.send(this.#deadAddress ?? to, bytes)
    }
  }

  /** @returns how many messages, or datagrams, it sent, over all replicas */
  async stop(): Promise<number> {
    clearInterval(this.#timer)
    await this.#udp.close()
    return this.#sent
  }
}
