import { digestToBytes, isReplica, type PrincipalId, principalId } from '../types.ts'
import type { Address, ChannelEvent, Datagram, DownReason, EndpointConfig, Output, PeerState } from './api.ts'
import { Turns } from './arrived.ts'
import type { HandshakeContext } from './context.ts'
import { ByteBudget, Counters } from './counters.ts'
import { type ChannelCrypto, TAG_BYTES } from './crypto.ts'
import { Initiator } from './initiator.ts'
import { type ChannelLimits, type ClassLimits, checkLimits } from './limits.ts'
import type { OutMessage } from './outbox.ts'
import { Peer, type PeerClass } from './peer.ts'
import { TokenBucket } from './rate-limit.ts'
import { Responder } from './responder.ts'
import type { Session, SessionHost } from './session.ts'
import * as wire from './wire.ts'

export type {
  Address,
  ChannelEvent,
  Datagram,
  DownReason,
  EndpointConfig,
  Output,
  PeerIdentity,
  PeerState,
} from './api.ts'
export type { ChannelCrypto } from './crypto.ts'
export { type ChannelLimits, DEFAULT_CHANNEL_LIMITS } from './limits.ts'

const SESSION_ID_MASK = 0x3fffffff
const CLUSTER_ID_BYTES = 16

/**
 * The sans-IO datagram channel of one principal (design section 3): no socket, no clock; time is what the caller says,
 * randomness what `crypto` gives. `receive` and `send` only take in; everything that goes out comes from `poll`.
 */
export class Endpoint {
  private readonly config: EndpointConfig
  private readonly limits: ChannelLimits
  private readonly crypto: ChannelCrypto
  private readonly count = new Counters()
  private readonly replicas: PeerClass
  private readonly clients: PeerClass
  private readonly peers = new Map<number, Peer>()
  private readonly sessions = new Map<number, Session>()
  private readonly initiator: Initiator
  private readonly responder: Responder
  private datagrams: Datagram[] = []
  private handshakeDatagrams = 0
  private events: ChannelEvent[] = []
  /** The last poll() stopped at a class's byte bound: there is more to send at once. */
  private unfinished = false
  /** The time of the last call. */
  private nowMs = 0

  /** @throws RangeError when the configuration contradicts itself. */
  constructor(config: EndpointConfig, crypto: ChannelCrypto) {
    checkLimits(config.limits)
    if (config.clusterId.length !== CLUSTER_ID_BYTES) throw new RangeError('clusterId must be 16 bytes')
    const self = config.peers(config.self)
    if (self === undefined) throw new RangeError(`principal ${config.self} is not admitted itself`)
    this.config = config
    this.limits = config.limits
    this.crypto = crypto
    this.replicas = peerClass(config.limits.replica)
    this.clients = peerClass(config.limits.client)
    const context = this.contextOf(self.publicKey)
    this.initiator = new Initiator(context)
    this.responder = new Responder(context)
  }

  /** Takes a datagram as it came. Total: whatever the bytes are, it is counted and dropped, never thrown at. */
  receive(datagram: Uint8Array, from: Address, nowMs: number): void {
    const { count } = this
    this.nowMs = nowMs
    const bytes = wire.asBuffer(datagram)
    count.datagramsReceived += 1
    count.bytesReceived += bytes.length
    if (bytes.length > this.limits.payloadBytes) {
      count.tooLong += 1
      return
    }
    switch (bytes[0]) {
      case wire.SEALED:
        this.receiveSealed(bytes, from, nowMs)
        return
      case wire.HELLO:
        this.responder.receiveHello(bytes, from, nowMs)
        return
      case wire.COOKIE:
        this.initiator.receiveCookie(bytes, nowMs)
        return
      case wire.ACCEPT:
        this.initiator.receiveAccept(bytes, nowMs)
        return
      case wire.FINISH:
        this.responder.receiveFinish(bytes, from, nowMs)
        return
      case wire.GONE:
        this.receiveGone(bytes, nowMs)
        return
      default:
        count.malformed += 1
    }
  }

  /**
   * Keeps a session to `peer` at `address`: starts one when there is none, and again, with back-off, whenever it is
   * gone. Idempotent; another address counts from the next attempt on. A stranger is refused and counted.
   */
  connect(peer: PrincipalId, address: Address, nowMs: number): void {
    this.nowMs = nowMs
    const record = this.peerOf(peer)
    if (record === undefined || peer === this.config.self) {
      this.count.sendStranger += 1
      return
    }
    const moved = record.connectAddress !== address
    record.connectAddress = address
    if (record.session === undefined && (record.attempt === undefined || moved)) this.attempt(record, nowMs)
  }

  /** Ends connect() and the session, telling the peer; what was not acknowledged is reported lost. */
  disconnect(peer: PrincipalId, nowMs: number): void {
    this.nowMs = nowMs
    const record = this.peers.get(peer)
    if (record === undefined) return
    record.connectAddress = undefined
    this.initiator.cancel(record)
    const { session } = record
    if (session !== undefined) {
      this.pushDatagram(session.address, session.buildClose(nowMs))
      this.end(session, 'closed')
    }
    this.dropWaiting(record, Number.POSITIVE_INFINITY)
    this.forgetIfIdle(record)
  }

  /**
   * Queues a message; the bytes must not change afterwards (they are not copied). 'dropped' when it is longer than
   * messageBytesMax, the peer is a stranger, or a buffer is full; a 'queued' one arrives once or counts in 'lost'.
   */
  send(peer: PrincipalId, message: Uint8Array, nowMs: number): 'queued' | 'dropped' {
    const { count } = this
    this.nowMs = nowMs
    if (message.length > this.limits.messageBytesMax) {
      count.sendTooLong += 1
      return 'dropped'
    }
    const record = this.peerOf(peer)
    if (record === undefined || peer === this.config.self) {
      count.sendStranger += 1
      return 'dropped'
    }
    if (!record.roomToSend(message.length)) {
      count.sendFull += 1
      return 'dropped'
    }
    const { session } = record
    if (session === undefined && !record.roomToWait(message.length, this.limits)) {
      count.waitingFull += 1
      return 'dropped'
    }
    const out: OutMessage = {
      bytes: wire.asBuffer(message),
      queuedAtMs: nowMs,
      id: -1,
      sentBytes: 0,
      ackedBytes: 0,
    }
    record.charge(message.length)
    count.messagesSent += 1
    if (session !== undefined) session.outbox.push(out)
    else record.wait(out)
    return 'queued'
  }

  /**
   * Runs what is due and drains what is to be sent and what happened. [FS1] Messages of replicas stand before those of
   * clients, each class within its bound, its peers in turn; with `hands` 'nothing' they all wait.
   */
  poll(nowMs: number, hands: 'messages' | 'nothing' = 'messages'): Output {
    this.nowMs = nowMs
    this.responder.expire(nowMs)
    this.runTimers(this.replicas, nowMs)
    this.runTimers(this.clients, nowMs)
    this.unfinished = false
    // Replicas first: agreement must not wait for a client's download.
    this.transmit(this.replicas, nowMs)
    this.transmit(this.clients, nowMs)
    if (hands === 'messages') for (const peerClass of [this.replicas, this.clients]) this.hand(peerClass)
    const output = { datagrams: this.datagrams, events: this.events }
    this.datagrams = []
    this.events = []
    this.handshakeDatagrams = 0
    return output
  }

  private hand({ turns, limits }: PeerClass): void {
    for (const { peer, message } of turns.take(limits.pollMessagesMax)) {
      this.events.push({ type: 'message', from: peer.id, message })
    }
  }

  /** Messages that no poll() handed on yet. */
  get hasArrived(): boolean {
    return !this.replicas.turns.isEmpty || !this.clients.turns.isEmpty
  }

  /** Absolute time by which poll() must run again even if nothing happens; undefined: not at all. May have passed. */
  nextTimeoutMs(): number | undefined {
    const { nowMs } = this
    if (this.unfinished || this.hasArrived || this.datagrams.length > 0 || this.events.length > 0)
      return nowMs
    let at = Number.POSITIVE_INFINITY
    for (const peer of this.peers.values()) {
      const { session, attempt } = peer
      if (session !== undefined)
        at = Math.min(at, session.deadlineMs(nowMs, peer.connectAddress !== undefined))
      if (attempt !== undefined) at = Math.min(at, this.initiator.deadlineMs(attempt))
      const waiting = peer.waiting.peek()
      if (waiting !== undefined) at = Math.min(at, waiting.queuedAtMs + this.limits.waitingMs)
    }
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  counters(): Record<string, number> {
    return this.count.snapshot()
  }

  peerState(peer: PrincipalId): PeerState {
    const record = this.peers.get(peer)
    const session = record?.session
    const address = session?.address ?? record?.connectAddress
    return {
      up: session !== undefined,
      queuedBytes: record?.queuedBytes ?? 0,
      ...(address === undefined ? {} : { address }),
      ...(session?.flight.rtt.measured ? { rttMs: session.flight.rtt.smoothedMs } : {}),
    }
  }

  /** Bytes of all messages held: to be sent, partly received, waiting for poll(). What the limits bound. */
  bufferedBytes(): number {
    let bytes = 0
    for (const { sendBudget, reassemblyBudget, eventBudget } of [this.replicas, this.clients]) {
      bytes += sendBudget.used + reassemblyBudget.used + eventBudget.used
    }
    return bytes
  }

  /** Handshakes answered and not finished. */
  halfOpenCount(): number {
    return this.responder.halfOpenCount
  }

  private receiveSealed(bytes: Buffer, from: Address, nowMs: number): void {
    if (bytes.length < wire.HEADER_BYTES + TAG_BYTES) {
      this.count.malformed += 1
      return
    }
    const sessionId = bytes.readUInt32BE(1)
    const session = this.sessions.get(sessionId)
    if (session !== undefined) {
      if (!session.receive(bytes, nowMs)) return
      if (session.closedByPeer) this.end(session, 'closed-by-peer')
      return
    }
    const candidate = this.initiator.candidate(sessionId)
    if (candidate !== undefined) {
      // A forged packet must not install it.
      if (!candidate.receive(bytes, nowMs)) return
      this.install(candidate.peer, candidate)
      if (candidate.closedByPeer) this.end(candidate, 'closed-by-peer')
      return
    }
    this.count.unknownSession += 1
    if (!this.responder.has(sessionId)) this.responder.gone(sessionId, from, nowMs)
  }

  private receiveGone(bytes: Buffer, nowMs: number): void {
    if (bytes.length !== wire.GONE_BYTES) {
      this.count.malformed += 1
      return
    }
    this.count.goneReceived += 1
    const remoteId = bytes.readUInt32BE(1)
    this.initiator.receiveGone(remoteId, nowMs)
    for (const peer of this.peers.values()) {
      if (peer.session?.remoteId !== remoteId) continue
      // Anybody may have sent this: the session stays until the peer itself proves a new one, and while the peer
      // speaks under it the hint is not even tried.
      const silent = nowMs - peer.session.lastReceivedMs >= this.limits.helloRetryMsMin
      if (silent && peer.attempt === undefined) this.attempt(peer, nowMs)
    }
  }

  private attempt(peer: Peer, nowMs: number): void {
    if (peer.connectAddress === undefined) return
    this.initiator.start(peer, peer.connectAddress, nowMs, this.limits.helloRetryMsMin)
  }

  private runTimers(peerClass: PeerClass, nowMs: number): void {
    // Backwards: a peer for which nothing is kept leaves the list.
    for (let i = peerClass.peers.length - 1; i >= 0; i--) {
      const peer = peerClass.peers[i]
      if (peer === undefined) continue
      const { session, attempt } = peer
      if (attempt !== undefined) {
        // The session that made us try spoke again since.
        const heard = session !== undefined && session.lastReceivedMs > attempt.startedAtMs
        if (heard && attempt.candidate === undefined) this.initiator.cancel(peer)
        else this.initiator.onTimer(attempt, nowMs)
      }
      if (session !== undefined) {
        const over = session.onTimer(nowMs, peer.connectAddress !== undefined)
        if (over !== undefined) this.end(session, over)
        else if (peer.attempt === undefined && session.flight.probeCount >= this.limits.stallProbes) {
          this.attempt(peer, nowMs)
        }
      } else if (peer.waiting.length > 0) {
        this.dropWaiting(peer, nowMs)
      }
      this.forgetIfIdle(peer)
    }
  }

  /** One datagram per peer and round, until all are served or the class's bytes for this poll are used up. */
  private transmit(peerClass: PeerClass, nowMs: number): void {
    const { peers, limits } = peerClass
    const n = peers.length
    if (n === 0) return
    let bytes = 0
    let quiet = 0
    let at = peerClass.cursor % n
    while (quiet < n) {
      if (bytes >= limits.pollBytesMax) {
        this.unfinished = true
        break
      }
      const session = peers[at]?.session
      const datagram = session?.build(nowMs)
      if (session === undefined || datagram === undefined) {
        quiet += 1
      } else {
        quiet = 0
        bytes += datagram.length
        this.pushDatagram(session.address, datagram)
      }
      at = at + 1 === n ? 0 : at + 1
    }
    peerClass.cursor = at
  }

  private install(peer: Peer, session: Session): void {
    this.initiator.cancel(peer)
    const old = peer.session
    peer.session = session
    this.sessions.set(session.localId, session)
    if (old !== undefined) this.retire(old, session, 'replaced')
    for (let m = peer.takeWaiting(); m !== undefined; m = peer.takeWaiting()) session.outbox.push(m)
    this.count.sessionsUp += 1
    this.events.push({ type: 'session-up', peer: peer.id })
  }

  private end(session: Session, reason: DownReason): void {
    const { peer } = session
    peer.session = undefined
    this.retire(session, undefined, reason)
  }

  private retire(old: Session, next: Session | undefined, reason: DownReason): void {
    this.sessions.delete(old.localId)
    this.reportLost(old.peer, old.peer.leaveSession(old, next))
    this.count.sessionsDown += 1
    this.events.push({ type: 'session-down', peer: old.peerId, reason })
  }

  private reportLost(peer: Peer, messages: number): void {
    if (messages === 0) return
    this.count.messagesLost += messages
    this.events.push({ type: 'lost', peer: peer.id, messages })
  }

  /** Messages that waited too long for a session; all of them at Infinity. */
  private dropWaiting(peer: Peer, nowMs: number): void {
    let lost = 0
    for (let head = peer.waiting.peek(); head !== undefined; head = peer.waiting.peek()) {
      if (nowMs < head.queuedAtMs + this.limits.waitingMs) break
      peer.takeWaiting()
      peer.release(head.bytes.length)
      lost += 1
    }
    this.reportLost(peer, lost)
  }

  private peerOf(id: number): Peer | undefined {
    const known = this.peers.get(id)
    if (known !== undefined) return known
    const identity = this.config.peers(principalId(id))
    if (identity === undefined) return undefined
    const peer = new Peer(
      identity.id,
      identity.publicKey,
      isReplica(identity.id) ? this.replicas : this.clients,
    )
    this.peers.set(id, peer)
    peer.class.peers.push(peer)
    return peer
  }

  private forgetIfIdle(peer: Peer): void {
    if (!peer.idle) return
    this.peers.delete(peer.id)
    const { peers } = peer.class
    const at = peers.indexOf(peer)
    const last = peers.pop()
    if (last !== undefined && last !== peer && at >= 0) peers[at] = last
  }

  private pushDatagram(to: Address, bytes: Buffer): void {
    this.count.datagramsSent += 1
    this.count.bytesSent += bytes.length
    this.datagrams.push({ to, bytes })
  }

  private freshSessionId(): number {
    for (;;) {
      const id = wire.asBuffer(this.crypto.randomBytes(4)).readUInt32BE(0) & SESSION_ID_MASK
      if (!this.sessions.has(id) && !this.initiator.has(id) && !this.responder.has(id)) return id
    }
  }

  private contextOf(selfPublicKey: Uint8Array): HandshakeContext {
    const { config, limits, crypto, count } = this
    const host: SessionHost = {
      crypto,
      limits,
      counters: count,
      plainIn: Buffer.allocUnsafe(limits.payloadBytes),
      plainOut: Buffer.allocUnsafe(limits.payloadBytes),
      deliver: (peer, message) => {
        count.messagesReceived += 1
        peer.class.turns.push(peer, message)
      },
    }
    return {
      self: config.self,
      selfPublicKey,
      clusterId: Buffer.from(config.clusterId),
      genesisDigest: digestToBytes(config.genesisDigest),
      limits,
      crypto,
      counters: count,
      host,
      freshSessionId: () => this.freshSessionId(),
      isSession: (id) => this.sessions.has(id),
      emit: (to, bytes) => this.pushDatagram(to, bytes),
      answer: (to, bytes) => {
        if (this.handshakeDatagrams >= limits.handshakeDatagramsMax) {
          count.rateLimited += 1
          return
        }
        this.handshakeDatagrams += 1
        this.pushDatagram(to, bytes)
      },
      peerOf: (id) => this.peerOf(id),
      install: (peer, session) => this.install(peer, session),
    }
  }
}

function peerClass(limits: ClassLimits): PeerClass {
  return {
    limits,
    sendBudget: new ByteBudget(limits.sendBytesTotalMax),
    reassemblyBudget: new ByteBudget(limits.reassemblyBytesTotalMax),
    eventBudget: new ByteBudget(limits.eventBytesMax),
    turns: new Turns(),
    handshakes: new TokenBucket({ perSecond: limits.handshakesPerSecondMax, burst: limits.handshakesBurst }),
    peers: [],
    cursor: 0,
  }
}
