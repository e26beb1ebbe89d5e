import type { Message, MessageType } from '../../protocol/messages.ts'
import type { ReplicaId } from '../../protocol/types.ts'

export type Packet = { readonly from: ReplicaId; readonly to: ReplicaId; readonly message: Message }

/** Which packets are meant; what is not given matches all. */
export type Filter = {
  readonly type?: MessageType | undefined
  readonly from?: readonly number[] | undefined
  readonly to?: readonly number[] | undefined
  readonly n?: number | undefined
  readonly v?: number | undefined
}

export function matches({ from, to, message }: Packet, filter: Filter): boolean {
  return (
    (filter.type === undefined || message.type === filter.type) &&
    (filter.from === undefined || filter.from.includes(from)) &&
    (filter.to === undefined || filter.to.includes(to)) &&
    (filter.n === undefined || seqOf(message) === filter.n) &&
    (filter.v === undefined || viewOf(message) === filter.v)
  )
}

export function seqOf(message: Message): number | undefined {
  if (message.type === 'pre-prepare') return message.header.seq
  return 'seq' in message ? message.seq : undefined
}

function viewOf(message: Message): number | undefined {
  if (message.type === 'pre-prepare') return message.header.view
  if (message.type === 'view-change') return message.newView
  return 'view' in message ? message.view : undefined
}

/** What is on its way between replicas, in the order it was sent; a scenario decides what becomes of it. */
export class Network {
  #packets: Packet[] = []
  /** All that was ever sent, also what was lost: what a liar may say again. */
  readonly #sent: Packet[] = []
  readonly #cut = new Set<number>()
  #blocked: Filter[] = []
  #altered: { readonly filter: Filter; readonly other: (message: Message) => Message }[] = []

  send(packet: Packet): void {
    this.#sent.push(packet)
    if (this.#cut.has(packet.from) || this.#cut.has(packet.to)) return
    if (this.#blocked.some((filter) => matches(packet, filter))) return
    const { message, ...way } = packet
    const altered = this.#altered.find(({ filter }) => matches(packet, filter))
    this.#packets.push({ ...way, message: altered === undefined ? message : altered.other(message) })
  }

  /** Nothing gets to or from `id` any more; what is on its way is lost, too. */
  cut(id: number): void {
    this.#cut.add(id)
    this.forget(id)
  }

  heal(id: number): void {
    this.#cut.delete(id)
  }

  isCut(id: number): boolean {
    return this.#cut.has(id)
  }

  /** What matches is lost from now on, in this direction only. */
  block(filter: Filter): void {
    this.#blocked.push(filter)
    this.drop(filter)
  }

  /** From now on something else arrives in place of what matches. */
  alter(filter: Filter, other: (message: Message) => Message): void {
    this.#altered.push({ filter, other })
  }

  unblock(): void {
    this.#blocked = []
    this.#altered = []
  }

  forget(id: number): void {
    this.#packets = this.#packets.filter(({ from, to }) => from !== id && to !== id)
  }

  /** Takes out the oldest packet that matches. */
  take(filter: Filter): Packet | undefined {
    const at = this.#packets.findIndex((packet) => matches(packet, filter))
    return at === -1 ? undefined : this.#packets.splice(at, 1)[0]
  }

  drop(filter: Filter): number {
    const before = this.#packets.length
    this.#packets = this.#packets.filter((packet) => !matches(packet, filter))
    return before - this.#packets.length
  }

  duplicate(filter: Filter): void {
    this.#packets = this.#packets.flatMap((packet) => (matches(packet, filter) ? [packet, packet] : [packet]))
  }

  reverse(): void {
    this.#packets.reverse()
  }

  get pending(): readonly Packet[] {
    return this.#packets
  }

  /** Oldest first, each message once however many it went to. */
  everSent(filter: Filter): Message[] {
    return [...new Set(this.#sent.filter((packet) => matches(packet, filter)).map(({ message }) => message))]
  }
}
