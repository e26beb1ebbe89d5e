import { Congestion } from './congestion.ts'
import type { Counters } from './counters.ts'
import type { ChannelLimits } from './limits.ts'
import type { Chunk, Outbox } from './outbox.ts'
import { Rtt } from './rtt.ts'

/** A packet that asks for an acknowledgement and has none yet. */
export type SentPacket = {
  readonly packetNumber: number
  readonly sentAtMs: number
  readonly bytes: number
  readonly chunks: readonly Chunk[]
  /** Largest packet number this packet acknowledged, or -1: once it arrived, the peer knows. */
  readonly acknowledged: number
}

/** RFC 9002 section 6.1.1. */
const PACKET_THRESHOLD = 3
const PROBE_PACKETS = 2

/**
 * What is under way in one direction: numbers packets, measures the round trip, decides what is lost. A lost packet's
 * chunks go back to the outbox; its own number is never used again.
 */
export class Flight {
  nextPacket = 0
  largestAcked = -1
  inFlightBytes = 0
  /** Consecutive probe time-outs without any acknowledgement. */
  probeCount = 0
  readonly rtt: Rtt

  /** Packets [base, nextPacket) by number; the ring grows to what the window needs. */
  private ring: (SentPacket | undefined)[] = new Array(256).fill(undefined)
  private base = 0
  private lossAtMs = Number.POSITIVE_INFINITY
  private lastSentMs = 0
  private progressAtMs = 0
  private probesAllowed = 0
  private readonly congestion: Congestion
  private readonly limits: ChannelLimits
  private readonly outbox: Outbox
  private readonly counters: Counters

  constructor(
    context: {
      limits: ChannelLimits
      payloadBytes: number
      rttHintMs: number
      outbox: Outbox
      counters: Counters
    },
    nowMs: number,
  ) {
    const { limits } = context
    this.limits = limits
    this.outbox = context.outbox
    this.counters = context.counters
    this.rtt = new Rtt(Math.max(context.rttHintMs, limits.rttHintMsMin))
    this.congestion = new Congestion(
      {
        initialBytes: limits.windowBytesInitial,
        minBytes: limits.windowBytesMin,
        maxBytes: limits.windowBytesMax,
        burstBytes: limits.pacingBurstBytes,
        payloadBytes: context.payloadBytes,
      },
      nowMs,
    )
  }

  get windowBytes(): number {
    return this.congestion.windowBytes
  }

  /** Milliseconds until a data packet may leave; 0 is now, Infinity is "after an acknowledgement". */
  sendDelayMs(nowMs: number): number {
    if (this.probesAllowed > 0) return 0
    if (this.inFlightBytes >= this.congestion.windowBytes) return Number.POSITIVE_INFINITY
    return this.congestion.paceDelayMs(nowMs, this.rtt.smoothedMs)
  }

  /** A probe time-out passed and its packets are not sent yet. */
  get probing(): boolean {
    return this.probesAllowed > 0
  }

  /** There was nothing left to probe with: one ping is enough. */
  endProbe(): void {
    this.probesAllowed = 0
  }

  /** An acknowledgement alone: takes a number, is not tracked. */
  skipNumber(): number {
    const packetNumber = this.nextPacket
    this.nextPacket += 1
    if (this.base === packetNumber) this.base = this.nextPacket
    else this.makeRoom()
    return packetNumber
  }

  sent(packet: { bytes: number; chunks: readonly Chunk[]; acknowledged: number }, nowMs: number): number {
    const packetNumber = this.nextPacket
    this.nextPacket += 1
    this.makeRoom()
    this.ring[packetNumber & (this.ring.length - 1)] = {
      packetNumber,
      sentAtMs: nowMs,
      bytes: packet.bytes,
      chunks: packet.chunks,
      acknowledged: packet.acknowledged,
    }
    // While probes go unanswered the silence counts on, though each probe leaves nothing else in flight.
    if (this.inFlightBytes === 0 && this.probeCount === 0) this.progressAtMs = nowMs
    this.inFlightBytes += packet.bytes
    this.lastSentMs = nowMs
    this.congestion.sent(packet.bytes)
    if (this.probesAllowed > 0) this.probesAllowed -= 1
    return packetNumber
  }

  /**
   * One closed range of an acknowledgement, largest range first. Returns the largest `acknowledged` of the packets
   * that it newly covers, or -1. The caller has checked that `end` < nextPacket, and ends with ackDone().
   */
  ackRange(start: number, end: number, ackDelayMs: number, nowMs: number): number {
    let acknowledged = -1
    const mask = this.ring.length - 1
    const first = Math.max(start, this.base)
    for (let n = end; n >= first; n--) {
      const packet = this.ring[n & mask]
      if (packet === undefined) continue
      this.ring[n & mask] = undefined
      if (n > this.largestAcked) {
        this.largestAcked = n
        this.rtt.sample(Math.max(nowMs - packet.sentAtMs, 0), ackDelayMs)
      }
      this.congestion.acked(packet.bytes, this.inFlightBytes)
      this.inFlightBytes -= packet.bytes
      this.progressAtMs = nowMs
      this.probeCount = 0
      if (packet.acknowledged > acknowledged) acknowledged = packet.acknowledged
      for (const chunk of packet.chunks) this.outbox.acked(chunk)
    }
    return acknowledged
  }

  ackDone(nowMs: number): void {
    this.detectLoss(nowMs)
  }

  /** Absolute time of the loss timer or the probe, or Infinity. */
  get timerMs(): number {
    if (this.inFlightBytes === 0) return Number.POSITIVE_INFINITY
    return Math.min(this.lossAtMs, this.probeAtMs)
  }

  onTimer(nowMs: number): void {
    if (this.inFlightBytes === 0) return
    if (nowMs >= this.lossAtMs) this.detectLoss(nowMs)
    if (this.inFlightBytes === 0 || nowMs < this.probeAtMs) return
    // The oldest packets are sent again as probes, outside the window: their acknowledgement finds what else is lost.
    this.probeCount += 1
    this.counters.probes += 1
    this.probesAllowed = PROBE_PACKETS
    this.lastSentMs = nowMs
    let taken = 0
    for (let n = this.base; n < this.nextPacket && taken < PROBE_PACKETS; n++) {
      if (this.giveUp(n)) taken += 1
    }
    this.advance()
  }

  /** Nothing of what is in flight was acknowledged for so long. */
  stuck(nowMs: number, timeoutMs: number): boolean {
    return this.inFlightBytes > 0 && nowMs - this.progressAtMs >= timeoutMs
  }

  private get probeAtMs(): number {
    const baseMs = Math.max(this.rtt.probeMs(this.limits.ackDelayMs), this.limits.ptoMsMin)
    const backedOffMs = Math.min(baseMs * 2 ** Math.min(this.probeCount, 16), this.limits.ptoMsMax)
    return this.lastSentMs + Math.max(baseMs, backedOffMs)
  }

  private detectLoss(nowMs: number): void {
    this.advance()
    this.lossAtMs = Number.POSITIVE_INFINITY
    const lossDelayMs = this.rtt.lossDelayMs
    const mask = this.ring.length - 1
    for (let n = this.base; n < this.largestAcked; n++) {
      const packet = this.ring[n & mask]
      if (packet === undefined) continue
      const lateMs = packet.sentAtMs + lossDelayMs
      if (n <= this.largestAcked - PACKET_THRESHOLD || lateMs <= nowMs) {
        this.giveUp(n)
        this.congestion.lost(n, this.nextPacket)
      } else if (lateMs < this.lossAtMs) {
        this.lossAtMs = lateMs
      }
    }
    this.advance()
  }

  private giveUp(packetNumber: number): boolean {
    const slot = packetNumber & (this.ring.length - 1)
    const packet = this.ring[slot]
    if (packet === undefined) return false
    this.ring[slot] = undefined
    this.inFlightBytes -= packet.bytes
    this.counters.lostPackets += 1
    this.counters.retransmittedChunks += packet.chunks.length
    for (const chunk of packet.chunks) this.outbox.lost(chunk)
    return true
  }

  private advance(): void {
    const mask = this.ring.length - 1
    while (this.base < this.nextPacket && this.ring[this.base & mask] === undefined) this.base += 1
  }

  /** Keeps [base, nextPacket) within the ring. */
  private makeRoom(): void {
    if (this.nextPacket - this.base <= this.ring.length) return
    this.advance()
    if (this.nextPacket - this.base <= this.ring.length) return
    const wider: (SentPacket | undefined)[] = new Array(this.ring.length * 2).fill(undefined)
    const mask = this.ring.length - 1
    for (let n = this.base; n < this.nextPacket - 1; n++) wider[n & (wider.length - 1)] = this.ring[n & mask]
    this.ring = wider
  }
}
