import type { ByteBudget } from './counters.ts'
import { Fifo } from './fifo.ts'
import { MESSAGE_OVERHEAD_BYTES } from './outbox.ts'
import type { Peer } from './peer.ts'

/** [FS1] What one peer sent and nobody has taken yet: within a bound of its own and one that it shares with its class. */
export class Arrived {
  private readonly messages = new Fifo<Buffer>()
  private bytes = 0
  private readonly bytesMax: number
  private readonly shared: ByteBudget

  constructor(bytesMax: number, shared: ByteBudget) {
    this.bytesMax = bytesMax
    this.shared = shared
  }

  get isEmpty(): boolean {
    return this.messages.length === 0
  }

  /** A message of any legal size may wait alone. */
  hasRoomFor(bytes: number): boolean {
    return this.isEmpty || this.bytes + bytes <= this.bytesMax
  }

  push(message: Buffer): void {
    this.messages.push(message)
    this.count(message.length + MESSAGE_OVERHEAD_BYTES)
  }

  shift(): Buffer | undefined {
    const message = this.messages.shift()
    if (message !== undefined) this.count(-message.length - MESSAGE_OVERHEAD_BYTES)
    return message
  }

  private count(bytes: number): void {
    this.bytes += bytes
    this.shared.take(bytes)
  }
}

/** [FS1] One message of each peer in turn, until `messagesMax`; the next call begins where this one stopped. */
export class Turns {
  /** Peers of whom something waits: the first is next. */
  private readonly waiting = new Fifo<Peer>()

  get isEmpty(): boolean {
    return this.waiting.length === 0
  }

  push(peer: Peer, message: Buffer): void {
    if (peer.arrived.isEmpty) this.waiting.push(peer)
    peer.arrived.push(message)
  }

  *take(messagesMax: number): Generator<{ readonly peer: Peer; readonly message: Buffer }> {
    for (let taken = 0; taken < messagesMax; taken++) {
      const peer = this.waiting.shift()
      const message = peer?.arrived.shift()
      if (peer === undefined || message === undefined) return
      if (!peer.arrived.isEmpty) this.waiting.push(peer)
      yield { peer, message }
    }
  }
}
