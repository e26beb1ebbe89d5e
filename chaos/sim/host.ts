import {
  type Address,
  type ChannelEvent,
  DEFAULT_CHANNEL_LIMITS,
  Endpoint,
} from '../../protocol/channel/endpoint.ts'
import { type PrincipalId, replicaId } from '../../protocol/types.ts'
import type { World } from './world.ts'

export const addressOf = (id: PrincipalId): Address => `host-${id}`

/** One running process: its channel endpoint, and turns of its event loop. A restarted process is a new one. */
export abstract class Host {
  readonly id: PrincipalId
  readonly address: Address
  protected readonly world: World
  protected readonly endpoint: Endpoint
  /** False once it was killed: whatever was scheduled for it finds nobody. */
  alive = true
  #inbox: { readonly bytes: Uint8Array; readonly from: Address }[] = []
  #turnScheduled = false
  #wakeAtUs = Number.POSITIVE_INFINITY

  constructor(world: World, id: PrincipalId) {
    const { cast, plan, random, network } = world
    const identity = cast.identities.get(id)
    if (identity === undefined) throw new Error(`principal ${id} has no keys`)
    this.world = world
    this.id = id
    this.address = addressOf(id)
    this.endpoint = new Endpoint(
      {
        self: id,
        clusterId: Buffer.from(cast.genesis.clusterId, 'hex'),
        genesisDigest: cast.genesis.digest,
        peers: (peer) => {
          const known = cast.identities.get(peer)
          return known === undefined ? undefined : { id: peer, publicKey: known.publicKey }
        },
        limits: { ...DEFAULT_CHANNEL_LIMITS, payloadBytes: plan.cluster.payloadBytes },
      },
      identity.channelCrypto(random),
    )
    network.bind(this.address, this)
  }

  /** Milliseconds of this process' monotonic clock. */
  get nowMs(): number {
    return this.world.queue.nowUs / 1000
  }

  connectToReplicas(): void {
    for (let peer = 0; peer < this.world.plan.replicas; peer++) {
      if (peer !== this.id) this.endpoint.connect(replicaId(peer), addressOf(replicaId(peer)), this.nowMs)
    }
  }

  receive(bytes: Uint8Array, from: Address): void {
    this.#inbox.push({ bytes, from })
    this.scheduleTurn()
  }

  /** kill -9. */
  kill(): void {
    this.alive = false
    this.world.network.unbind(this.address)
  }

  /** Runs `work` in this process after the delay, unless it was killed meanwhile, and then a turn. */
  protected later(delayUs: number, work: () => void): void {
    this.world.queue.after(delayUs, () => {
      if (!this.alive) return
      work()
      this.turn()
    })
  }

  protected scheduleTurn(): void {
    if (this.#turnScheduled) return
    this.#turnScheduled = true
    const { queue, random, plan } = this.world
    queue.after(random.float() * plan.turnUs, () => {
      this.#turnScheduled = false
      if (this.alive) this.turn()
    })
  }

  protected turn(): void {
    const { nowMs, endpoint } = this
    const inbox = this.#inbox
    this.#inbox = []
    for (const { bytes, from } of inbox) endpoint.receive(bytes, from, nowMs)
    for (;;) {
      const { datagrams, events } = endpoint.poll(nowMs)
      for (const { to, bytes } of datagrams) this.world.network.send(this.address, to, bytes)
      if (events.length === 0) break
      this.onChannel(events)
    }
    this.#armWake()
  }

  protected abstract onChannel(events: readonly ChannelEvent[]): void

  #armWake(): void {
    const atMs = this.endpoint.nextTimeoutMs()
    if (atMs === undefined) return
    const { queue } = this.world
    const atUs = Math.max(Math.ceil(atMs * 1000), queue.nowUs + 1)
    if (atUs >= this.#wakeAtUs) return
    this.#wakeAtUs = atUs
    queue.at(atUs, () => {
      if (this.#wakeAtUs === atUs) this.#wakeAtUs = Number.POSITIVE_INFINITY
      if (!this.alive) return
      // What it was set for may be done already.
      if ((this.endpoint.nextTimeoutMs() ?? Number.POSITIVE_INFINITY) <= this.nowMs) this.turn()
      else this.#armWake()
    })
  }
}
