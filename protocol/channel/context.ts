import type { PrincipalId } from '../types.ts'
import type { Counters } from './counters.ts'
import type { ChannelCrypto } from './crypto.ts'
import type { ChannelLimits } from './limits.ts'
import type { Peer } from './peer.ts'
import type { Session, SessionHost } from './session.ts'

/** What the two halves of the handshake share with the endpoint that owns them. */
export type HandshakeContext = {
  readonly self: PrincipalId
  readonly selfPublicKey: Uint8Array
  readonly clusterId: Buffer
  readonly genesisDigest: Buffer
  readonly limits: ChannelLimits
  readonly crypto: ChannelCrypto
  readonly counters: Counters
  readonly host: SessionHost
  /** A session id that no session, attempt or half-open handshake of this endpoint has. */
  freshSessionId(): number
  isSession(sessionId: number): boolean
  /** Queues what this endpoint says of its own accord; connect() bounds it. */
  emit(to: string, bytes: Buffer): void
  /** Queues an answer to an unproven address; drops it above handshakeDatagramsMax. */
  answer(to: string, bytes: Buffer): void
  /** The record of an admitted principal, made if need be; undefined for a stranger. */
  peerOf(id: number): Peer | undefined
  /** The peer spoke under `session`'s keys for the first time: it replaces what was before. */
  install(peer: Peer, session: Session): void
}
