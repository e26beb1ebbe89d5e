import { principalId } from '../types.ts'
import type { HandshakeContext } from './context.ts'
import { acceptBytes, deriveKeys, finishBytes, formatFinish, transcriptOf } from './handshake.ts'
import { PAYLOAD_BYTES_MIN } from './limits.ts'
import type { Peer } from './peer.ts'
import { Session } from './session.ts'
import * as wire from './wire.ts'

/** One try at a session with a peer: HELLO until ACCEPT, then FINISH until the peer's first sealed packet. */
export type Attempt = {
  readonly peer: Peer
  readonly address: string
  readonly sessionId: number
  readonly ephemeral: { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
  readonly startedAtMs: number
  /** What is repeated: HELLO, with a cookie once there is one; then FINISH. */
  datagram: Buffer
  retryMs: number
  retryAtMs: number
  /** HELLO was first sent; with a cookie, once there is one. */
  cookieAtMs: number
  /** On simultaneous open the lower id ignores the peer's HELLO until then, longer once its own was heard. */
  insistUntilMs: number
  /** No COOKIE is answered at once before. */
  answerFromMs: number
  /** The session that the peer's first sealed packet will bring up. */
  candidate: Session | undefined
  /** When FINISH gives up; Infinity before. */
  finishUntilMs: number
  /** When HELLO gives up and starts again with a fresh key. */
  helloUntilMs: number
  /** FINISH was first sent. */
  finishAtMs: number
}

const NO_COOKIE = Buffer.alloc(wire.COOKIE_BYTES)

/** The handshake's initiating half: attempts by peer, their retries, and the answers to them. */
export class Initiator {
  private readonly attempts = new Map<number, Attempt>()
  private readonly context: HandshakeContext

  constructor(context: HandshakeContext) {
    this.context = context
  }

  has(sessionId: number): boolean {
    return this.attempts.has(sessionId)
  }

  candidate(sessionId: number): Session | undefined {
    return this.attempts.get(sessionId)?.candidate
  }

  /** Sends the first HELLO. `retryMs` carries the back-off from one attempt to the next. */
  start(peer: Peer, address: string, nowMs: number, retryMs: number): void {
    this.cancel(peer)
    const { crypto, counters, limits } = this.context
    const attempt: Attempt = {
      peer,
      address,
      sessionId: this.context.freshSessionId(),
      ephemeral: crypto.keyPair(),
      startedAtMs: nowMs,
      datagram: wire.formatGone(0),
      retryMs,
      retryAtMs: nowMs,
      cookieAtMs: nowMs,
      insistUntilMs: nowMs + limits.simultaneousOpenMs,
      answerFromMs: nowMs,
      candidate: undefined,
      finishUntilMs: Number.POSITIVE_INFINITY,
      helloUntilMs: nowMs + limits.attemptMs,
      finishAtMs: 0,
    }
    attempt.datagram = this.helloOf(attempt, NO_COOKIE)
    counters.handshakesStarted += 1
    peer.attempt = attempt
    this.attempts.set(attempt.sessionId, attempt)
    this.repeat(attempt, nowMs)
  }

  cancel(peer: Peer): void {
    if (peer.attempt === undefined) return
    this.attempts.delete(peer.attempt.sessionId)
    peer.attempt = undefined
  }

  /** Repeats what is due, or starts again with a fresh key when the attempt is too old. */
  onTimer(attempt: Attempt, nowMs: number): void {
    const over = nowMs >= Math.min(attempt.helloUntilMs, attempt.finishUntilMs)
    if (over) this.start(attempt.peer, attempt.peer.connectAddress ?? attempt.address, nowMs, attempt.retryMs)
    else if (nowMs >= attempt.retryAtMs) this.repeat(attempt, nowMs)
  }

  deadlineMs(attempt: Attempt): number {
    return Math.min(attempt.retryAtMs, attempt.helloUntilMs, attempt.finishUntilMs)
  }

  receiveCookie(datagram: Buffer, nowMs: number): void {
    const { counters } = this.context
    const parsed = wire.parseCookie(datagram)
    if (parsed === undefined) {
      counters.malformed += 1
      return
    }
    const attempt = this.attempts.get(parsed.sessionId)
    if (attempt === undefined || attempt.candidate !== undefined) {
      counters.unknownSession += 1
      return
    }
    // Every repeated HELLO is answered on a slow path; one answer is enough.
    const hello = this.helloOf(attempt, parsed.cookie)
    if (attempt.datagram.equals(hello)) return
    attempt.datagram = hello
    // Answered at once, but no faster than HELLO is repeated anyway: two liars must not keep us busy with each other.
    if (nowMs < attempt.answerFromMs) return
    attempt.answerFromMs = nowMs + this.context.limits.helloRetryMsMin
    attempt.cookieAtMs = nowMs
    attempt.helloUntilMs = nowMs + this.context.limits.attemptMs
    // The peer hears us; on a slow path its ACCEPT takes as long as its COOKIE did.
    const { simultaneousOpenMs } = this.context.limits
    attempt.insistUntilMs = nowMs + Math.max(simultaneousOpenMs, 3 * (nowMs - attempt.startedAtMs))
    attempt.retryMs = this.context.limits.helloRetryMsMin
    this.repeat(attempt, nowMs)
  }

  receiveAccept(datagram: Buffer, nowMs: number): void {
    const { context } = this
    const { crypto, counters, limits } = context
    const accept = wire.parseAccept(datagram)
    if (accept === undefined) {
      counters.malformed += 1
      return
    }
    const attempt = this.attempts.get(accept.sessionId)
    if (attempt === undefined || attempt.candidate !== undefined) {
      counters.unknownSession += 1
      return
    }
    const { peer } = attempt
    if (accept.payloadBytes < PAYLOAD_BYTES_MIN || accept.reassemblyBytes < limits.messageBytesMax) {
      counters.incompatible += 1
      return
    }
    const transcript = transcriptOf(
      crypto,
      context,
      {
        id: context.self,
        publicKey: context.selfPublicKey,
        ephemeral: attempt.ephemeral.publicKey,
        sessionId: attempt.sessionId,
        payloadBytes: limits.payloadBytes,
        reassemblyBytes: peer.class.limits.reassemblyBytesPerPeerMax,
      },
      { ...accept, id: peer.id, publicKey: peer.publicKey, sessionId: accept.responderSessionId },
    )
    if (!crypto.verify(peer.publicKey, acceptBytes(transcript), accept.signature)) {
      counters.badSignature += 1
      return
    }
    const shared = crypto.sharedSecret(attempt.ephemeral.secretKey, accept.ephemeral)
    if (shared === null) {
      counters.badKey += 1
      return
    }
    const keys = deriveKeys(crypto, shared, transcript)
    attempt.candidate = new Session(
      context.host,
      peer,
      {
        localId: attempt.sessionId,
        remoteId: accept.responderSessionId,
        address: attempt.address,
        payloadBytes: Math.min(limits.payloadBytes, accept.payloadBytes),
        peerReassemblyBytes: accept.reassemblyBytes,
        sendKey: keys.initiator,
        receiveKey: keys.responder,
        rttHintMs: nowMs - attempt.cookieAtMs,
      },
      nowMs,
    )
    attempt.datagram = formatFinish(crypto, {
      responderSessionId: accept.responderSessionId,
      key: keys.finish,
      signature: crypto.sign(finishBytes(transcript)),
    })
    attempt.finishAtMs = nowMs
    attempt.helloUntilMs = Number.POSITIVE_INFINITY
    // On a slow path an answer takes as long as the last one did.
    attempt.finishUntilMs = nowMs + Math.max(limits.finishMs, 3 * (nowMs - attempt.cookieAtMs))
    attempt.retryMs = limits.helloRetryMsMin
    this.repeat(attempt, nowMs)
  }

  /** The responder knows nothing of the session that our FINISH names: it restarted in between. */
  receiveGone(remoteId: number, nowMs: number): void {
    for (const attempt of this.attempts.values()) {
      if (attempt.candidate?.remoteId !== remoteId) continue
      // An unauthenticated hint: acted upon no faster than a retry.
      if (nowMs - attempt.finishAtMs < this.context.limits.helloRetryMsMin) return
      this.start(attempt.peer, attempt.peer.connectAddress ?? attempt.address, nowMs, attempt.retryMs)
      return
    }
  }

  private repeat(attempt: Attempt, nowMs: number): void {
    this.context.emit(attempt.address, attempt.datagram)
    attempt.retryAtMs = nowMs + attempt.retryMs
    attempt.retryMs = Math.min(attempt.retryMs * 2, this.context.limits.helloRetryMsMax)
  }

  private helloOf(attempt: Attempt, cookie: Buffer): Buffer {
    const { context } = this
    return wire.formatHello({
      version: wire.WIRE_VERSION,
      clusterId: context.clusterId,
      genesisDigest: context.genesisDigest,
      initiator: context.self,
      responder: principalId(attempt.peer.id),
      sessionId: attempt.sessionId,
      payloadBytes: context.limits.payloadBytes,
      reassemblyBytes: attempt.peer.class.limits.reassemblyBytesPerPeerMax,
      ephemeral: wire.asBuffer(attempt.ephemeral.publicKey),
      cookie,
    })
  }
}
