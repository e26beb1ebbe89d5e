import type { Address } from '../../protocol/channel/endpoint.ts'
import type { EventQueue } from './event-queue.ts'
import type { Happenings } from './happenings.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { Trace } from './trace.ts'

/** Old datagrams that a replay may bring back. */
const REMEMBERED_MAX = 64
const HEALTHY = { loss: 0, duplication: 0, reorder: 0, corruption: 0, replay: 0 }

/** One direction. */
export type Link = { readonly from: Address; readonly to: Address }
export type Receiver = { receive(bytes: Uint8Array, from: Address): void }

/** Datagrams between addresses: late, lost, doubled, out of order, damaged, cut off. Nobody listens where none is bound. */
export class Network {
  readonly #settings: Plan['network']
  readonly #queue: EventQueue
  readonly #random: Random
  readonly #trace: Trace
  readonly #happenings: Happenings
  readonly #bound = new Map<Address, Receiver>()
  /** `from>to`: how many cuts keep anything from passing that way. */
  readonly #blocked = new Map<string, number>()
  readonly #remembered: { from: Address; to: Address; bytes: Uint8Array }[] = []
  #faults: Pick<Plan['network'], keyof typeof HEALTHY>
  datagrams = 0
  bytes = 0

  constructor(args: {
    plan: Plan
    queue: EventQueue
    random: Random
    trace: Trace
    happenings: Happenings
  }) {
    this.#settings = args.plan.network
    this.#faults = args.plan.network
    this.#queue = args.queue
    this.#random = args.random
    this.#trace = args.trace
    this.#happenings = args.happenings
  }

  bind(address: Address, receiver: Receiver): void {
    this.#bound.set(address, receiver)
  }

  unbind(address: Address): void {
    this.#bound.delete(address)
  }

  /** Nothing passes on these links until the returned function is called, or all is healed. */
  cut(links: readonly Link[]): () => void {
    const names = links.map(({ from, to }) => `${from}>${to}`)
    const blocked = this.#blocked
    for (const name of names) blocked.set(name, (blocked.get(name) ?? 0) + 1)
    return () => {
      for (const name of names) {
        const cuts = blocked.get(name) ?? 0
        if (cuts > 1) blocked.set(name, cuts - 1)
        else blocked.delete(name)
      }
    }
  }

  heal(): void {
    this.#blocked.clear()
    this.#faults = HEALTHY
  }

  send(from: Address, to: Address, bytes: Uint8Array): void {
    this.datagrams += 1
    this.bytes += bytes.length
    this.#trace.mix(this.#queue.nowUs, bytes.length, lastWord(bytes))
    if (this.#blocked.size > 0 && this.#blocked.has(`${from}>${to}`)) return
    const { loss, duplication, corruption, replay } = this.#faults
    const random = this.#random
    if (random.chance(loss)) return
    this.#carry(from, to, random.chance(corruption) ? this.#damaged(bytes) : bytes)
    if (random.chance(duplication)) this.#carry(from, to, bytes)
    if (replay > 0) this.#replaySome(from, to, bytes)
  }

  /** Bytes that no endpoint sent. */
  inject(from: Address, to: Address, bytes: Uint8Array): void {
    this.#carry(from, to, bytes)
  }

  #carry(from: Address, to: Address, bytes: Uint8Array): void {
    const { latencyUs, jitterUs, reorderUs } = this.#settings
    const late = this.#random.chance(this.#faults.reorder) ? this.#random.float() * reorderUs : 0
    const delayUs = latencyUs + this.#random.float() * jitterUs + late
    this.#queue.after(delayUs, () => this.#bound.get(to)?.receive(bytes, from))
  }

  #damaged(bytes: Uint8Array): Uint8Array {
    const random = this.#random
    this.#happenings.count('datagram damaged')
    if (random.chance(0.3)) return bytes.slice(0, random.int(0, bytes.length - 1))
    const damaged = Uint8Array.from(bytes)
    for (let flips = random.int(1, 4); flips > 0; flips--) {
      const at = random.int(0, damaged.length - 1)
      damaged[at] = (damaged[at] ?? 0) ^ (1 << random.int(0, 7))
    }
    return damaged
  }

  #replaySome(from: Address, to: Address, bytes: Uint8Array): void {
    const random = this.#random
    if (this.#remembered.length < REMEMBERED_MAX) this.#remembered.push({ from, to, bytes })
    else if (random.chance(0.05)) this.#remembered[random.int(0, REMEMBERED_MAX - 1)] = { from, to, bytes }
    if (!random.chance(this.#faults.replay)) return
    const old = random.pick(this.#remembered)
    this.#happenings.count('datagram replayed')
    this.#carry(old.from, old.to, old.bytes)
  }
}

/** The end of a sealed datagram is its tag, which depends on everything in it. */
function lastWord(bytes: Uint8Array): number {
  const end = bytes.length
  return (
    (bytes[end - 1] ?? 0) |
    ((bytes[end - 2] ?? 0) << 8) |
    ((bytes[end - 3] ?? 0) << 16) |
    ((bytes[end - 4] ?? 0) << 24)
  )
}
