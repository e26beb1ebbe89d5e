import type { HandshakeContext } from './context.ts'
import { CookieJar } from './cookie.ts'
import {
  acceptBytes,
  deriveKeys,
  finishBytes,
  openFinish,
  type SessionKeys,
  transcriptOf,
} from './handshake.ts'
import { PAYLOAD_BYTES_MIN } from './limits.ts'
import type { Peer } from './peer.ts'
import { AddressBuckets } from './rate-limit.ts'
import { Session } from './session.ts'
import * as wire from './wire.ts'

/** A HELLO that was answered with ACCEPT; nothing of the peer's present session changes before its FINISH. */
type HalfOpen = {
  readonly peer: Peer
  readonly address: string
  readonly sessionId: number
  readonly remoteId: number
  readonly ephemeral: Buffer
  readonly payloadBytes: number
  readonly reassemblyBytes: number
  readonly transcript: Buffer
  readonly keys: SessionKeys
  readonly accept: Buffer
  readonly acceptedAtMs: number
}

/** The handshake's answering half: stateless until an address proved itself, bounded until a FINISH proves identity. */
export class Responder {
  private readonly halfOpen = new Map<number, HalfOpen>()
  private readonly cookies: CookieJar
  private readonly helloBuckets: AddressBuckets
  private readonly cookiedBuckets: AddressBuckets
  private readonly goneBuckets: AddressBuckets
  private readonly context: HandshakeContext

  constructor(context: HandshakeContext) {
    this.context = context
    const { limits, crypto } = context
    this.cookies = new CookieJar(crypto, limits.cookieRotationMs)
    const seed = wire.asBuffer(crypto.randomBytes(4)).readInt32BE(0)
    this.helloBuckets = new AddressBuckets({
      perSecond: limits.helloPerSecondMax,
      burst: limits.helloBurst,
      seed,
    })
    this.goneBuckets = new AddressBuckets({
      perSecond: limits.helloPerSecondMax,
      burst: limits.helloBurst,
      seed,
    })
    this.cookiedBuckets = new AddressBuckets({
      perSecond: limits.cookiedHelloPerSecondMax,
      burst: limits.cookiedHelloBurst,
      seed,
    })
  }

  has(sessionId: number): boolean {
    return this.halfOpen.has(sessionId)
  }

  get halfOpenCount(): number {
    return this.halfOpen.size
  }

  receiveHello(datagram: Buffer, from: string, nowMs: number): void {
    const { context } = this
    const { counters } = context
    const hello = wire.parseHello(datagram)
    if (hello === undefined) {
      counters.malformed += 1
      return
    }
    const peer = this.admit(hello)
    if (peer === undefined) return
    const content = wire.helloContent(datagram)
    const cookied = !isZero(hello.cookie)
    if (!cookied || !this.cookies.valid(from, content, hello.cookie, nowMs)) {
      if (cookied) counters.badCookie += 1
      if (!this.helloBuckets.take(from, nowMs)) {
        counters.rateLimited += 1
        return
      }
      context.answer(from, wire.formatCookie(hello.sessionId, this.cookies.make(from, content, nowMs)))
      return
    }
    if (this.yieldsTo(peer, nowMs)) this.answer(hello, peer, from, nowMs)
    else counters.simultaneousOpen += 1
  }

  receiveFinish(datagram: Buffer, from: string, nowMs: number): void {
    const { context } = this
    const { crypto, counters } = context
    if (datagram.length !== wire.FINISH_BYTES) {
      counters.malformed += 1
      return
    }
    const sessionId = datagram.readUInt32BE(1)
    const half = this.halfOpen.get(sessionId)
    if (half === undefined) {
      // Repeated because our first packet is late, or replayed: the session stands.
      if (context.isSession(sessionId)) return
      counters.unknownSession += 1
      this.gone(sessionId, from, nowMs)
      return
    }
    const signature = openFinish(crypto, half.keys.finish, datagram)
    if (signature === undefined) {
      counters.badMac += 1
      return
    }
    if (!crypto.verify(half.peer.publicKey, finishBytes(half.transcript), signature)) {
      counters.badSignature += 1
      this.halfOpen.delete(sessionId) // who holds these keys is not who it says it is
      return
    }
    // Asked for again: the record may have been dropped for idleness since the HELLO.
    const peer = context.peerOf(half.peer.id)
    if (peer === undefined) {
      counters.stranger += 1
      return
    }
    // Our own attempt is as far as this one, and we are the lower: the peer takes ours.
    if (peer.attempt?.candidate !== undefined && context.self < peer.id) {
      counters.simultaneousOpen += 1
      return
    }
    this.halfOpen.delete(sessionId)
    const session = new Session(
      context.host,
      peer,
      {
        localId: sessionId,
        remoteId: half.remoteId,
        address: half.address,
        payloadBytes: Math.min(context.limits.payloadBytes, half.payloadBytes),
        peerReassemblyBytes: half.reassemblyBytes,
        sendKey: half.keys.responder,
        receiveKey: half.keys.initiator,
        rttHintMs: nowMs - half.acceptedAtMs,
      },
      nowMs,
    )
    // The initiator holds its session back until it hears us; the ping is repeated until it does.
    session.ping()
    context.install(peer, session)
  }

  /** Tells the sender of a packet for an unknown session so, in fewer bytes than it sent. */
  gone(sessionId: number, to: string, nowMs: number): void {
    if (this.goneBuckets.take(to, nowMs)) this.context.answer(to, wire.formatGone(sessionId))
    else this.context.counters.rateLimited += 1
  }

  expire(nowMs: number): void {
    // Insertion order is order of expiry.
    for (const half of this.halfOpen.values()) {
      if (nowMs < half.acceptedAtMs + this.context.limits.halfOpenMs) return
      this.halfOpen.delete(half.sessionId)
    }
  }

  /** What costs a comparison or a look-up comes before anything that costs a MAC. */
  private admit(hello: wire.Hello): Peer | undefined {
    const { context } = this
    const { counters } = context
    if (hello.version !== wire.WIRE_VERSION) counters.wrongVersion += 1
    else if (!hello.clusterId.equals(context.clusterId)) counters.wrongCluster += 1
    else if (!hello.genesisDigest.equals(context.genesisDigest)) counters.wrongGenesis += 1
    else if (hello.responder !== context.self || hello.initiator === context.self) counters.misaddressed += 1
    else {
      const peer = context.peerOf(hello.initiator)
      if (peer === undefined) counters.stranger += 1
      else if (
        hello.payloadBytes < PAYLOAD_BYTES_MIN ||
        hello.reassemblyBytes < context.limits.messageBytesMax
      ) {
        counters.incompatible += 1
      } else return peer
    }
    return undefined
  }

  /**
   * On simultaneous open the lower id initiates. Only for a while: when our own HELLO is not heard (a wrong address, a
   * one-way path), the session that works is the right one.
   */
  private yieldsTo(peer: Peer, nowMs: number): boolean {
    const { attempt } = peer
    if (attempt === undefined || this.context.self > peer.id) return true
    return attempt.candidate === undefined && nowMs >= attempt.insistUntilMs
  }

  private answer(hello: wire.Hello, peer: Peer, from: string, nowMs: number): void {
    const { context } = this
    const { counters } = context
    // The address a replica was configured with has a share of its own, which nobody else can use up.
    const configured = peer.connectAddress === from
    if (!configured && !this.cookiedBuckets.take(from, nowMs)) {
      counters.rateLimited += 1
      return
    }
    const known = this.sameAgain(hello, peer, from)
    if (known !== undefined) {
      context.answer(from, known.accept)
      return
    }
    if (!this.roomFor(from, configured)) {
      counters.halfOpenFull += 1
      return
    }
    if (!configured && !peer.class.handshakes.take(1, nowMs)) {
      counters.rateLimited += 1
      return
    }
    const half = this.open(hello, peer, from, nowMs)
    if (half === undefined) return
    this.halfOpen.set(half.sessionId, half)
    context.answer(from, half.accept)
  }

  private open(hello: wire.Hello, peer: Peer, from: string, nowMs: number): HalfOpen | undefined {
    const { context } = this
    const { crypto, limits } = context
    const own = crypto.keyPair()
    const shared = crypto.sharedSecret(own.secretKey, hello.ephemeral)
    if (shared === null) {
      context.counters.badKey += 1
      return undefined
    }
    const sessionId = context.freshSessionId()
    const reassemblyBytes = peer.class.limits.reassemblyBytesPerPeerMax
    const transcript = transcriptOf(
      crypto,
      context,
      { ...hello, id: peer.id, publicKey: peer.publicKey },
      {
        id: context.self,
        publicKey: context.selfPublicKey,
        ephemeral: own.publicKey,
        sessionId,
        payloadBytes: limits.payloadBytes,
        reassemblyBytes,
      },
    )
    return {
      peer,
      address: from,
      sessionId,
      remoteId: hello.sessionId,
      ephemeral: Buffer.from(hello.ephemeral),
      payloadBytes: hello.payloadBytes,
      reassemblyBytes: hello.reassemblyBytes,
      transcript,
      keys: deriveKeys(crypto, shared, transcript),
      accept: wire.formatAccept({
        sessionId: hello.sessionId,
        responderSessionId: sessionId,
        payloadBytes: limits.payloadBytes,
        reassemblyBytes,
        ephemeral: wire.asBuffer(own.publicKey),
        signature: wire.asBuffer(crypto.sign(acceptBytes(transcript))),
      }),
      acceptedAtMs: nowMs,
    }
  }

  /** A repeated HELLO is answered with the same ACCEPT: no second signature, no second entry. */
  private sameAgain(hello: wire.Hello, peer: Peer, from: string): HalfOpen | undefined {
    for (const half of this.halfOpen.values()) {
      const same = half.peer.id === peer.id && half.address === from && half.remoteId === hello.sessionId
      if (same && half.ephemeral.equals(hello.ephemeral)) return half
    }
    return undefined
  }

  private roomFor(from: string, configured: boolean): boolean {
    const { limits } = this.context
    let ofAddress = 0
    let oldest: HalfOpen | undefined
    for (const half of this.halfOpen.values()) {
      if (half.address !== from) continue
      ofAddress += 1
      oldest ??= half
    }
    if (ofAddress >= limits.halfOpenPerAddressMax && oldest !== undefined) {
      this.halfOpen.delete(oldest.sessionId)
      return true
    }
    return configured || this.halfOpen.size < limits.halfOpenMax
  }
}

const isZero = (bytes: Buffer): boolean => {
  for (const byte of bytes) if (byte !== 0) return false
  return true
}
