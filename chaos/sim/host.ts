import {
  type Address,
  type ChannelEvent,
  DEFAULT_CHANNEL_LIMITS,
  Endpoint,
} from '../../protocol/channel/endpoint.ts'
import { decodeMessage, isMalformed } from '../../protocol/codec.ts'
import type { Message } from '../../protocol/messages.ts'
import { type PrincipalId, replicaId } from '../../protocol/types.ts'
import type { Clock } from './clock.ts'
import { Violation } from './violation.ts'
import type { World } from './world.ts'

export const addressOf = (id: PrincipalId): Address => `host-${id}`

/** What a socket buffer holds for a process that does not read. */
const INBOX_MAX = 4_096

/** One running process: its channel endpoint, and turns of its event loop. A restarted process is a new one. */
export abstract class Host {
  readonly id: PrincipalId
  readonly address: Address
  protected readonly world: World
  protected readonly endpoint: Endpoint
  /** False once it was killed: whatever was scheduled for it finds nobody. */
  alive = true
  #inbox: { readonly bytes: Uint8Array; readonly from: Address }[] = []
  readonly #clock: Clock
  #turnScheduled = false
  #wakeAtUs = Number.POSITIVE_INFINITY
  #pausedUntilUs = 0

  constructor(world: World, id: PrincipalId, clock: Clock) {
    const { cast, plan, random, network } = world
    const identity = cast.identities.get(id)
    if (identity === undefined) throw new Error(`principal ${id} has no keys`)
    this.world = world
    this.id = id
    this.#clock = clock
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
    return this.#clock.nowMs
  }

  /** SIGSTOP, or a long collection of garbage: nothing runs until then; the clock and the network go on. */
  pause(us: number): void {
    this.#pausedUntilUs = this.world.queue.nowUs + Math.ceil(us)
  }

  connectToReplicas(): void {
    for (let peer = 0; peer < this.world.plan.replicas; peer++) {
      if (peer !== this.id) this.endpoint.connect(replicaId(peer), addressOf(replicaId(peer)), this.nowMs)
    }
  }

  receive(bytes: Uint8Array, from: Address): void {
    if (this.#inbox.length >= INBOX_MAX) return
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
    this.#whenRunning(delayUs, () => {
      work()
      this.turn()
    })
  }

  /** The same by this process' own clock. */
  protected afterMs(ms: number, work: () => void): void {
    this.later(this.#clock.delayUs(ms) + 1, work)
  }

  protected scheduleTurn(): void {
    if (this.#turnScheduled) return
    this.#turnScheduled = true
    const { random, plan } = this.world
    this.#whenRunning(random.float() * plan.turnUs, () => {
      this.#turnScheduled = false
      this.turn()
    })
  }

  #whenRunning(delayUs: number, work: () => void): void {
    const { queue } = this.world
    queue.after(delayUs, () => {
      if (!this.alive) return
      if (queue.nowUs < this.#pausedUntilUs) this.#whenRunning(this.#pausedUntilUs - queue.nowUs, work)
      else work()
    })
  }

  protected turn(): void {
    const { nowMs, endpoint } = this
    const inbox = this.#inbox
    this.#inbox = []
    for (const { bytes, from } of inbox) endpoint.receive(bytes, from, nowMs)
    while (this.alive) {
      const events = this.transmit()
      if (events.length === 0) break
      this.onChannel(events)
    }
    if (this.alive) this.#armWake()
  }

  /** Puts on the wire what waits for it; returns what the channel has to tell. */
  protected transmit(): readonly ChannelEvent[] {
    const { datagrams, events } = this.endpoint.poll(this.nowMs)
    for (const { to, bytes } of datagrams) this.world.network.send(this.address, to, bytes)
    return events
  }

  /** Null: nobody can read it, which only a liar sends. @throws Violation */
  protected decoded(from: PrincipalId, bytes: Uint8Array): Message | null {
    const message = decodeMessage(bytes)
    if (!isMalformed(message)) return message
    const { liars, plan } = this.world
    if (!liars.has(from) && !plan.lyingClients.some(({ client }) => client === from)) {
      throw new Violation('exception', `${from} is correct and sent: ${message.malformed}`)
    }
    this.world.happenings.count('malformed message')
    return null
  }

  protected abstract onChannel(events: readonly ChannelEvent[]): void

  #armWake(): void {
    const atMs = this.endpoint.nextTimeoutMs()
    if (atMs === undefined) return
    const delayUs = Math.max(this.#clock.delayUs(atMs - this.nowMs), 1)
    const atUs = this.world.queue.nowUs + delayUs
    if (atUs >= this.#wakeAtUs) return
    this.#wakeAtUs = atUs
    this.#whenRunning(delayUs, () => {
      if (this.#wakeAtUs === atUs) this.#wakeAtUs = Number.POSITIVE_INFINITY
      // What it was set for may be done already.
      if ((this.endpoint.nextTimeoutMs() ?? Number.POSITIVE_INFINITY) <= this.nowMs) this.turn()
      else this.#armWake()
    })
  }
}
