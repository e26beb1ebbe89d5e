import { SIGNATURE_BYTES, TAG_BYTES } from './crypto.ts'

/**
 * Datagram layouts; all integers big-endian. Parsing is total: a datagram is what its type says, or undefined.
 *
 *   HELLO   type version cluster(16) genesis(32) initiator(6) responder(6) session(4) payload(2) reassembly(4)
 *           ephemeral(32) cookie(32) padding            padded so that no answer to it is longer
 *   COOKIE  type session(4) cookie(32)
 *   ACCEPT  type session(4) responderSession(4) payload(2) reassembly(4) ephemeral(32) signature(64)
 *   FINISH  type responderSession(4) sealed(signature(64))
 *   SEALED  type session(4) epoch(1) packetNumber(6) sealed(frames)
 *   GONE    type session(4)                             a hint, never believed: it only starts a handshake
 */
export const WIRE_VERSION = 1

export const HELLO = 1
export const COOKIE = 2
export const ACCEPT = 3
export const FINISH = 4
export const SEALED = 5
export const GONE = 6

const HELLO_COOKIE_AT = 104
export const COOKIE_BYTES = 32
export const HELLO_BYTES = 200
export const COOKIE_DATAGRAM_BYTES = 37
export const ACCEPT_BYTES = 111
export const FINISH_HEADER_BYTES = 5
export const FINISH_BYTES = FINISH_HEADER_BYTES + SIGNATURE_BYTES + TAG_BYTES
export const GONE_BYTES = 5
export const HEADER_BYTES = 12

/** Frames inside a sealed payload. */
export const FRAME_ACK = 1
export const FRAME_MESSAGE = 2
export const FRAME_FRAGMENT = 3
export const FRAME_PING = 4
export const FRAME_CLOSE = 5

/** type largest(6) delay(2, in 0.1 ms) firstLength(4) count(1), then count times gap(4) length(4). */
export const ACK_FRAME_BYTES = 14
export const ACK_RANGE_BYTES = 8
/** type id(6) length(2). */
export const MESSAGE_FRAME_BYTES = 9
/** type id(6) total(4) fragmentBytes(2) index(4); the fragment's length follows from these. */
export const FRAGMENT_FRAME_BYTES = 17
/** What acknowledgements may take of a datagram that carries data, so that a full fragment always fits beside them. */
export const ACK_RESERVE_BYTES = 62
export const FRAGMENT_BYTES_MIN = 256

export type Hello = {
  readonly version: number
  readonly clusterId: Buffer
  readonly genesisDigest: Buffer
  readonly initiator: number
  readonly responder: number
  readonly sessionId: number
  readonly payloadBytes: number
  readonly reassemblyBytes: number
  readonly ephemeral: Buffer
  readonly cookie: Buffer
}

/** Buffer view without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export function formatHello(hello: Hello): Buffer {
  const out = Buffer.alloc(HELLO_BYTES)
  out[0] = HELLO
  out[1] = hello.version
  hello.clusterId.copy(out, 2)
  hello.genesisDigest.copy(out, 18)
  out.writeUIntBE(hello.initiator, 50, 6)
  out.writeUIntBE(hello.responder, 56, 6)
  out.writeUInt32BE(hello.sessionId, 62)
  out.writeUInt16BE(hello.payloadBytes, 66)
  out.writeUInt32BE(hello.reassemblyBytes, 68)
  hello.ephemeral.copy(out, 72)
  hello.cookie.copy(out, HELLO_COOKIE_AT)
  return out
}

export function parseHello(bytes: Buffer): Hello | undefined {
  if (bytes.length !== HELLO_BYTES) return undefined
  return {
    version: bytes.readUInt8(1),
    clusterId: bytes.subarray(2, 18),
    genesisDigest: bytes.subarray(18, 50),
    initiator: bytes.readUIntBE(50, 6),
    responder: bytes.readUIntBE(56, 6),
    sessionId: bytes.readUInt32BE(62),
    payloadBytes: bytes.readUInt16BE(66),
    reassemblyBytes: bytes.readUInt32BE(68),
    ephemeral: bytes.subarray(72, 104),
    cookie: bytes.subarray(HELLO_COOKIE_AT, HELLO_COOKIE_AT + COOKIE_BYTES),
  }
}

/** What the cookie covers: all of a HELLO but the cookie itself and the padding. */
export const helloContent = (datagram: Buffer): Buffer => datagram.subarray(0, HELLO_COOKIE_AT)

export function formatCookie(sessionId: number, cookie: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(COOKIE_DATAGRAM_BYTES)
  out[0] = COOKIE
  out.writeUInt32BE(sessionId, 1)
  out.set(cookie, 5)
  return out
}

export function parseCookie(bytes: Buffer): { sessionId: number; cookie: Buffer } | undefined {
  if (bytes.length !== COOKIE_DATAGRAM_BYTES) return undefined
  return { sessionId: bytes.readUInt32BE(1), cookie: bytes.subarray(5) }
}

export type Accept = {
  readonly sessionId: number
  readonly responderSessionId: number
  readonly payloadBytes: number
  readonly reassemblyBytes: number
  readonly ephemeral: Buffer
  readonly signature: Buffer
}

export function formatAccept(accept: Accept): Buffer {
  const out = Buffer.allocUnsafe(ACCEPT_BYTES)
  out[0] = ACCEPT
  out.writeUInt32BE(accept.sessionId, 1)
  out.writeUInt32BE(accept.responderSessionId, 5)
  out.writeUInt16BE(accept.payloadBytes, 9)
  out.writeUInt32BE(accept.reassemblyBytes, 11)
  accept.ephemeral.copy(out, 15)
  accept.signature.copy(out, 47)
  return out
}

export function parseAccept(bytes: Buffer): Accept | undefined {
  if (bytes.length !== ACCEPT_BYTES) return undefined
  return {
    sessionId: bytes.readUInt32BE(1),
    responderSessionId: bytes.readUInt32BE(5),
    payloadBytes: bytes.readUInt16BE(9),
    reassemblyBytes: bytes.readUInt32BE(11),
    ephemeral: bytes.subarray(15, 47),
    signature: bytes.subarray(47),
  }
}

export function formatGone(sessionId: number): Buffer {
  const out = Buffer.allocUnsafe(GONE_BYTES)
  out[0] = GONE
  out.writeUInt32BE(sessionId, 1)
  return out
}

export function writeHeader(
  out: Buffer,
  header: { sessionId: number; epoch: number; packetNumber: number },
): void {
  out[0] = SEALED
  out.writeUInt32BE(header.sessionId, 1)
  out[5] = header.epoch & 0xff
  out.writeUIntBE(header.packetNumber, 6, 6)
}
