import type { PrincipalId } from '../types.ts'
import { ACK_RANGES_MAX, AckRanges } from './ack-ranges.ts'
import type { Counters } from './counters.ts'
import { type ChannelCrypto, TAG_BYTES } from './crypto.ts'
import { Flight } from './flight.ts'
import { Inbound } from './inbound.ts'
import { ReceiveKeys, SendKeys } from './keys.ts'
import type { ChannelLimits } from './limits.ts'
import { type Chunk, frameBytes, Outbox } from './outbox.ts'
import type { Peer } from './peer.ts'
import { ReplayWindow } from './replay-window.ts'
import * as wire from './wire.ts'

/** What a session needs of its endpoint; the scratch buffers hold one payload each and are free between calls. */
export type SessionHost = {
  readonly crypto: ChannelCrypto
  readonly limits: ChannelLimits
  readonly counters: Counters
  readonly plainIn: Buffer
  readonly plainOut: Buffer
  deliver(peer: Peer, message: Buffer): void
}

export type SessionParameters = {
  readonly localId: number
  readonly remoteId: number
  readonly address: string
  readonly payloadBytes: number
  readonly peerReassemblyBytes: number
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
  /** What the handshake's last round trip took: the first estimate. */
  readonly rttHintMs: number
}

export type SessionEnd = 'timeout' | 'no-progress' | 'reassembly-stalled'

/** When so many ranges are open, ask now and then for an acknowledgement of ours, after which they can be forgotten. */
const RANGES_TO_SHED = 8
const SHED_EVERY_ACKS = 8

const UINT32_MAX = 2 ** 32 - 1

/** One authenticated, encrypted session with a peer: both directions of it. Receives packets, builds packets. */
export class Session {
  readonly localId: number
  readonly remoteId: number
  readonly address: string
  readonly peer: Peer
  readonly outbox: Outbox
  readonly flight: Flight
  /** When a packet was last opened. */
  lastReceivedMs: number
  closedByPeer = false

  private readonly host: SessionHost
  private readonly plainBytesMax: number
  private readonly sendKeys: SendKeys
  private readonly receiveKeys: ReceiveKeys
  private readonly replay = new ReplayWindow()
  private readonly inbound: Inbound
  private readonly acks = new AckRanges()
  private largestReceivedMs = 0
  private ackPending = 0
  private ackAtMs = Number.POSITIVE_INFINITY
  private acksSinceShed = 0
  private pingWanted = false
  private reassemblyCheckedMs: number

  constructor(host: SessionHost, peer: Peer, parameters: SessionParameters, nowMs: number) {
    this.host = host
    this.peer = peer
    this.localId = parameters.localId
    this.remoteId = parameters.remoteId
    this.address = parameters.address
    this.plainBytesMax = parameters.payloadBytes - wire.HEADER_BYTES - TAG_BYTES
    this.sendKeys = new SendKeys(host.crypto, parameters.sendKey, nowMs)
    this.receiveKeys = new ReceiveKeys(host.crypto, parameters.receiveKey)
    const { limits, counters } = host
    this.outbox = new Outbox(
      {
        roomBytes: this.plainBytesMax - wire.ACK_RESERVE_BYTES,
        peerReassemblyBytes: parameters.peerReassemblyBytes,
      },
      (message) => peer.release(message.bytes.length),
    )
    const { payloadBytes, rttHintMs } = parameters
    this.flight = new Flight({ limits, payloadBytes, rttHintMs, outbox: this.outbox, counters }, nowMs)
    this.inbound = new Inbound(host, peer)
    this.lastReceivedMs = nowMs
    this.reassemblyCheckedMs = nowMs
  }

  get peerId(): PrincipalId {
    return this.peer.id
  }

  /** Gives the room of partly received messages back; the session is over. */
  dispose(): void {
    this.inbound.reassembly.clear()
  }

  /** Asks the peer for a sign of life with the next packet. */
  ping(): void {
    this.pingWanted = true
  }

  /** A sealed datagram for this session. True when it was opened, whatever became of its frames. */
  receive(datagram: Buffer, nowMs: number): boolean {
    const { host } = this
    const epochByte = datagram.readUInt8(5)
    const packetNumber = datagram.readUIntBE(6, 6)
    if (this.replay.seen(packetNumber)) {
      host.counters.replayed += 1
      return false
    }
    const key = this.receiveKeys.select(epochByte, nowMs)
    if (key === undefined) {
      host.counters.oldEpoch += 1
      return false
    }
    const plainBytes = datagram.length - wire.HEADER_BYTES - TAG_BYTES
    const plain = host.plainIn.subarray(0, plainBytes)
    const header = datagram.subarray(0, wire.HEADER_BYTES)
    if (!host.crypto.open(key, packetNumber, header, datagram.subarray(wire.HEADER_BYTES), plain)) {
      host.counters.badMac += 1
      return false
    }
    this.receiveKeys.opened(epochByte, nowMs, host.limits.rekeyGraceMs)
    this.replay.mark(packetNumber)
    this.lastReceivedMs = nowMs
    const limited = !this.peer.receiveBucket.take(datagram.length, nowMs)
    if (limited) host.counters.peerRateLimited += 1
    this.inbound.beginPacket(limited)
    if (!this.readFrames(plain, nowMs)) {
      host.counters.protocolViolation += 1
      return true
    }
    if (!this.inbound.refused) this.recordReceived(packetNumber, nowMs)
    return true
  }

  /** The next datagram, or undefined when there is nothing to say or nothing may be said yet. */
  build(nowMs: number): Buffer | undefined {
    const { flight, outbox } = this
    const dataDue = outbox.hasChunk && flight.sendDelayMs(nowMs) === 0
    const pingDue = this.pingWanted || (flight.probing && !outbox.hasChunk)
    if (!dataDue && !pingDue && !this.ackDue(nowMs)) return undefined
    const out = this.host.plainOut
    const acknowledged = this.ackPending > 0 || pingDue ? this.acks.largest : -1
    const alone = !dataDue && !pingDue
    let at = acknowledged >= 0 ? this.writeAck(out, alone, nowMs) : 0
    const chunks: Chunk[] = []
    if (dataDue) {
      outbox.beginPacket()
      at = this.writeChunks(out, at, chunks)
    }
    const ping = pingDue || (alone && this.shedDue())
    if (ping) {
      out[at] = wire.FRAME_PING
      at += 1
      this.pingWanted = false
      if (chunks.length === 0) flight.endProbe()
    }
    return this.seal(
      out.subarray(0, at),
      { chunks, acknowledged, eliciting: ping || chunks.length > 0 },
      nowMs,
    )
  }

  /** One last packet; its loss is covered by the peer's idle time-out. */
  buildClose(nowMs: number): Buffer {
    this.host.plainOut[0] = wire.FRAME_CLOSE
    return this.seal(
      this.host.plainOut.subarray(0, 1),
      { chunks: [], acknowledged: -1, eliciting: false },
      nowMs,
    )
  }

  /** Acts on the timers that are due; a reason when the session is over. */
  onTimer(nowMs: number, keepAlive: boolean): SessionEnd | undefined {
    const { limits } = this.host
    // Compared as the sums that deadlineMs() gives: a difference may round to just below, and poll() would spin.
    if (nowMs >= this.lastReceivedMs + limits.idleTimeoutMs) return 'timeout'
    if (this.flight.stuck(nowMs, limits.idleTimeoutMs)) return 'no-progress'
    if (nowMs >= this.reassemblyCheckedMs + limits.idleTimeoutMs) {
      this.reassemblyCheckedMs = nowMs
      if (this.inbound.reassembly.stalledSince(nowMs, limits.idleTimeoutMs)) return 'reassembly-stalled'
    }
    if (nowMs >= this.flight.timerMs) this.flight.onTimer(nowMs)
    if (keepAlive && this.flight.inFlightBytes === 0 && nowMs >= this.lastReceivedMs + limits.keepAliveMs)
      this.ping()
    return undefined
  }

  /** Absolute time at which onTimer() or build() must run again. */
  deadlineMs(nowMs: number, keepAlive: boolean): number {
    const { limits } = this.host
    let at = Math.min(this.lastReceivedMs + limits.idleTimeoutMs, this.ackAtMs, this.flight.timerMs)
    if (this.inbound.reassembly.bufferedBytes > 0)
      at = Math.min(at, this.reassemblyCheckedMs + limits.idleTimeoutMs)
    if (keepAlive && this.flight.inFlightBytes === 0)
      at = Math.min(at, this.lastReceivedMs + limits.keepAliveMs)
    if (this.pingWanted || this.ackPending >= limits.ackPackets) return nowMs
    if (this.outbox.hasChunk) at = Math.min(at, nowMs + this.flight.sendDelayMs(nowMs))
    return at
  }

  private ackDue(nowMs: number): boolean {
    return this.ackPending >= this.host.limits.ackPackets || nowMs >= this.ackAtMs
  }

  private shedDue(): boolean {
    if (this.acks.count < RANGES_TO_SHED) return false
    this.acksSinceShed = (this.acksSinceShed + 1) % SHED_EVERY_ACKS
    return this.acksSinceShed === 0
  }

  private seal(
    plain: Buffer,
    packet: { chunks: readonly Chunk[]; acknowledged: number; eliciting: boolean },
    nowMs: number,
  ): Buffer {
    const { crypto, limits, counters } = this.host
    const { flight, sendKeys } = this
    const state = { nextPacket: flight.nextPacket, largestAcked: flight.largestAcked, nowMs }
    if (sendKeys.rotateIfDue(state, limits)) counters.rekeys += 1
    const datagram = Buffer.allocUnsafe(wire.HEADER_BYTES + plain.length + TAG_BYTES)
    const { chunks, acknowledged } = packet
    const packetNumber = packet.eliciting
      ? flight.sent({ bytes: datagram.length, chunks, acknowledged }, nowMs)
      : flight.skipNumber()
    wire.writeHeader(datagram, { sessionId: this.remoteId, epoch: sendKeys.epoch, packetNumber })
    const header = datagram.subarray(0, wire.HEADER_BYTES)
    crypto.seal(sendKeys.key, packetNumber, header, plain, datagram.subarray(wire.HEADER_BYTES))
    return datagram
  }

  private writeChunks(out: Buffer, from: number, chunks: Chunk[]): number {
    const { outbox, plainBytesMax } = this
    let at = from
    for (;;) {
      const chunk = outbox.nextChunk(plainBytesMax - at)
      if (chunk === undefined) return at
      chunks.push(chunk)
      const end = at + frameBytes(chunk)
      const { message, length } = chunk
      out.writeUIntBE(message.id, at + 1, 6)
      if (chunk.whole) {
        out[at] = wire.FRAME_MESSAGE
        out.writeUInt16BE(length, at + 7)
        out.set(message.bytes, end - length)
      } else {
        out[at] = wire.FRAME_FRAGMENT
        out.writeUInt32BE(message.bytes.length, at + 7)
        out.writeUInt16BE(outbox.fragmentSize, at + 11)
        out.writeUInt32BE(chunk.offset / outbox.fragmentSize, at + 13)
        message.bytes.copy(out, end - length, chunk.offset, chunk.offset + length)
      }
      at = end
    }
  }

  /**
   * `alone`: nothing else is in the packet, so the ranges may take their full number. What lies too far below for a
   * frame's fields is left out: a session may live for more packets than that, and a liar may skip as many.
   */
  private writeAck(out: Buffer, alone: boolean, nowMs: number): number {
    const { acks } = this
    const largest = acks.largest
    const reserve = alone ? this.plainBytesMax - 1 : wire.ACK_RESERVE_BYTES
    const room = Math.floor((reserve - wire.ACK_FRAME_BYTES) / wire.ACK_RANGE_BYTES)
    const extra = Math.min(acks.count - 1, room, ACK_RANGES_MAX - 1)
    const delay = Math.round(Math.max(nowMs - this.largestReceivedMs, 0) * 10)
    let start = Math.max(acks.starts[0] ?? largest, largest - UINT32_MAX)
    out[0] = wire.FRAME_ACK
    out.writeUIntBE(largest, 1, 6)
    out.writeUInt16BE(Math.min(delay, 0xffff), 7)
    out.writeUInt32BE(largest - start, 9)
    let at = wire.ACK_FRAME_BYTES
    let count = 0
    for (let i = 1; i <= extra; i++) {
      const end = acks.ends[i] ?? 0
      const gap = start - end - 2
      if (gap > UINT32_MAX) break
      start = Math.max(acks.starts[i] ?? 0, end - UINT32_MAX)
      out.writeUInt32BE(gap, at)
      out.writeUInt32BE(end - start, at + 4)
      at += wire.ACK_RANGE_BYTES
      count += 1
    }
    out[13] = count
    this.ackPending = 0
    this.ackAtMs = Number.POSITIVE_INFINITY
    return at
  }

  private recordReceived(packetNumber: number, nowMs: number): void {
    const { acks } = this
    const inOrder = packetNumber === acks.largest + 1
    acks.add(packetNumber)
    if (acks.largest === packetNumber) this.largestReceivedMs = nowMs
    if (!this.inbound.eliciting) return
    this.ackPending += 1
    // A gap is told at once: the sender finds the loss by it.
    const atMs = inOrder ? nowMs + this.host.limits.ackDelayMs : nowMs
    if (atMs < this.ackAtMs) this.ackAtMs = atMs
  }

  /**
   * False when no correct peer writes such a packet. An acknowledgement stands in front, and so once: each costs a walk
   * over all that is under way.
   */
  private readFrames(plain: Buffer, nowMs: number): boolean {
    let at = 0
    while (at < plain.length) {
      const type = plain[at]
      if (type === wire.FRAME_MESSAGE) at = this.inbound.readMessage(plain, at)
      else if (type === wire.FRAME_ACK && at === 0) at = this.readAck(plain, at, nowMs)
      else if (type === wire.FRAME_FRAGMENT) at = this.inbound.readFragment(plain, at, nowMs)
      else if (type === wire.FRAME_PING) {
        this.inbound.eliciting = true
        at += 1
      } else if (type === wire.FRAME_CLOSE) {
        this.closedByPeer = true
        at += 1
      } else return false
      if (at < 0) return false
    }
    return true
  }

  private readAck(plain: Buffer, at: number, nowMs: number): number {
    const { flight } = this
    const rangesAt = at + wire.ACK_FRAME_BYTES
    if (rangesAt > plain.length) return -1
    const count = plain.readUInt8(at + 13)
    const frameEnd = rangesAt + count * wire.ACK_RANGE_BYTES
    if (count >= ACK_RANGES_MAX || frameEnd > plain.length) return -1
    let end = plain.readUIntBE(at + 1, 6)
    if (end >= flight.nextPacket) return -1
    const delayMs = plain.readUInt16BE(at + 7) / 10
    let start = end - plain.readUInt32BE(at + 9)
    if (start < 0) return -1
    let known = flight.ackRange(start, end, delayMs, nowMs)
    for (let i = rangesAt; i < frameEnd; i += wire.ACK_RANGE_BYTES) {
      end = start - plain.readUInt32BE(i) - 2
      start = end - plain.readUInt32BE(i + 4)
      if (start < 0) return -1
      known = Math.max(known, flight.ackRange(start, end, delayMs, nowMs))
    }
    flight.ackDone(nowMs)
    if (known >= 0) this.acks.forgetUpTo(known)
    return frameEnd
  }
}
