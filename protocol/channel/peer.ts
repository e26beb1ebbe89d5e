import type { PrincipalId } from '../types.ts'
import { Arrived, type Turns } from './arrived.ts'
import type { ByteBudget } from './counters.ts'
import { Fifo } from './fifo.ts'
import type { Attempt } from './initiator.ts'
import type { ClassLimits } from './limits.ts'
import { MESSAGE_OVERHEAD_BYTES, type OutMessage } from './outbox.ts'
import { TokenBucket } from './rate-limit.ts'
import type { Session } from './session.ts'

/** What all peers of one class (replicas, clients) share. */
export type PeerClass = {
  readonly limits: ClassLimits
  readonly sendBudget: ByteBudget
  readonly reassemblyBudget: ByteBudget
  /** Received messages that wait for poll(), and whose turn it is. */
  readonly eventBudget: ByteBudget
  readonly turns: Turns
  readonly handshakes: TokenBucket
  readonly peers: Peer[]
  /** Where the next poll() begins its round. */
  cursor: number
}

/** An admitted principal that this endpoint talks to: its session, its attempt at one, its queue while there is none. */
export class Peer {
  readonly id: PrincipalId
  readonly publicKey: Uint8Array
  readonly class: PeerClass
  readonly receiveBucket: TokenBucket
  readonly arrived: Arrived
  /** Set by connect(): keep a session to this address. */
  connectAddress: string | undefined
  attempt: Attempt | undefined
  session: Session | undefined
  /** Bytes of waiting and unacknowledged messages, overhead included. */
  queuedBytes = 0
  readonly waiting = new Fifo<OutMessage>()
  private waitingBytes = 0

  constructor(id: PrincipalId, publicKey: Uint8Array, peerClass: PeerClass) {
    this.id = id
    this.publicKey = publicKey
    this.class = peerClass
    this.arrived = new Arrived(peerClass.limits.eventBytesPerPeerMax, peerClass.eventBudget)
    this.receiveBucket = new TokenBucket({
      perSecond: peerClass.limits.receiveBytesPerSecondMax,
      burst: peerClass.limits.receiveBurstBytes,
    })
  }

  /** Nothing is kept for it: the record can go. */
  get idle(): boolean {
    return (
      this.connectAddress === undefined &&
      this.attempt === undefined &&
      this.session === undefined &&
      this.waiting.length === 0 &&
      this.arrived.isEmpty
    )
  }

  roomToSend(bytes: number): boolean {
    const charged = bytes + MESSAGE_OVERHEAD_BYTES
    return (
      this.queuedBytes + charged <= this.class.limits.sendBytesPerPeerMax + MESSAGE_OVERHEAD_BYTES &&
      this.class.sendBudget.used + charged <= this.class.limits.sendBytesTotalMax + MESSAGE_OVERHEAD_BYTES
    )
  }

  roomToWait(bytes: number, bounds: { waitingBytesMax: number; waitingMessagesMax: number }): boolean {
    return (
      this.waiting.length < bounds.waitingMessagesMax &&
      // One message of any legal size may wait alone: a peer not yet up must not make large messages unsendable.
      (this.waiting.length === 0 || this.waitingBytes + bytes <= bounds.waitingBytesMax)
    )
  }

  charge(bytes: number): void {
    this.queuedBytes += bytes + MESSAGE_OVERHEAD_BYTES
    this.class.sendBudget.take(bytes + MESSAGE_OVERHEAD_BYTES)
  }

  release(bytes: number): void {
    this.queuedBytes -= bytes + MESSAGE_OVERHEAD_BYTES
    this.class.sendBudget.give(bytes + MESSAGE_OVERHEAD_BYTES)
  }

  wait(message: OutMessage): void {
    this.waiting.push(message)
    this.waitingBytes += message.bytes.length
  }

  takeWaiting(): OutMessage | undefined {
    const message = this.waiting.shift()
    if (message !== undefined) this.waitingBytes -= message.bytes.length
    return message
  }

  /**
   * The session is over. Messages of which nothing was sent move to `next`, or are lost like those under way when
   * there is none. Returns how many are lost.
   */
  leaveSession(old: Session, next: Session | undefined): number {
    const unsent = old.outbox.takeUnsent()
    let kept = 0
    if (next !== undefined) {
      for (const message of unsent) {
        next.outbox.push(message)
        kept += message.bytes.length + MESSAGE_OVERHEAD_BYTES
      }
    }
    this.class.sendBudget.give(this.queuedBytes - kept)
    this.queuedBytes = kept
    old.dispose()
    return old.outbox.openMessages + (next === undefined ? unsent.length : 0)
  }
}
