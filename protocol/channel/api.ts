import type { Digest, PrincipalId } from '../types.ts'
import type { ChannelLimits } from './limits.ts'

/** Where datagrams come from and go to, such as "127.0.0.1:4001"; opaque here. */
export type Address = string

export type PeerIdentity = {
  readonly id: PrincipalId
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
}

export type EndpointConfig = {
  readonly self: PrincipalId
  /** 16 bytes. */
  readonly clusterId: Uint8Array
  /** Bound into the transcript: a peer with another genesis is refused. */
  readonly genesisDigest: Digest
  /** Admitted principals, this endpoint's own identity included; a stranger is refused. */
  readonly peers: (id: PrincipalId) => PeerIdentity | undefined
  readonly limits: ChannelLimits
}

export type DownReason =
  | 'timeout'
  | 'no-progress'
  | 'reassembly-stalled'
  | 'replaced'
  | 'closed'
  | 'closed-by-peer'

export type ChannelEvent =
  | { readonly type: 'message'; readonly from: PrincipalId; readonly message: Uint8Array }
  | { readonly type: 'session-up'; readonly peer: PrincipalId }
  | { readonly type: 'session-down'; readonly peer: PrincipalId; readonly reason: DownReason }
  | { readonly type: 'lost'; readonly peer: PrincipalId; readonly messages: number }

export type Datagram = { readonly to: Address; readonly bytes: Uint8Array }
export type Output = { readonly datagrams: Datagram[]; readonly events: ChannelEvent[] }

export type PeerState = {
  readonly up: boolean
  readonly address?: Address
  /** Smoothed round-trip time, once measured. */
  readonly rttMs?: number
  /** Bytes that send() accepted and the peer has not acknowledged, 64 per message included. */
  readonly queuedBytes: number
}
