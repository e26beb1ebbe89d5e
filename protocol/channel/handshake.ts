import type { PrincipalId } from '../types.ts'
import type { ChannelCrypto } from './crypto.ts'
import { SIGNATURE_BYTES, TAG_BYTES } from './crypto.ts'
import { asBuffer, FINISH, FINISH_BYTES, FINISH_HEADER_BYTES, WIRE_VERSION } from './wire.ts'

/**
 * Signed Diffie-Hellman: both identities sign a hash of everything both sides said, so neither a role, an identity, a
 * size nor the genesis can be exchanged in between. The role is part of what is signed: one side's signature cannot be
 * played back as the other's.
 */
const TRANSCRIPT_LABEL = Buffer.from('pbft-ledger/channel/transcript')
const ACCEPT_LABEL = Buffer.from('pbft-ledger/channel/accept/responder:')
const FINISH_LABEL = Buffer.from('pbft-ledger/channel/finish/initiator:')
const INITIATOR_KEY_LABEL = Buffer.from('pbft-ledger/channel/key/initiator')
const RESPONDER_KEY_LABEL = Buffer.from('pbft-ledger/channel/key/responder')
const FINISH_KEY_LABEL = Buffer.from('pbft-ledger/channel/key/finish')

export type Party = {
  readonly id: PrincipalId
  readonly publicKey: Uint8Array
  readonly ephemeral: Uint8Array
  readonly sessionId: number
  readonly payloadBytes: number
  readonly reassemblyBytes: number
}

export type SessionKeys = {
  readonly initiator: Uint8Array
  readonly responder: Uint8Array
  readonly finish: Uint8Array
}

/** Fixed lengths throughout, so that two different handshakes cannot have the same bytes. */
export function transcriptOf(
  crypto: ChannelCrypto,
  cluster: { clusterId: Uint8Array; genesisDigest: Uint8Array },
  initiator: Party,
  responder: Party,
): Buffer {
  const fixed = Buffer.alloc(33)
  fixed[0] = WIRE_VERSION
  let at = 1
  for (const party of [initiator, responder]) {
    fixed.writeUIntBE(party.id, at, 6)
    fixed.writeUInt32BE(party.sessionId, at + 6)
    fixed.writeUInt16BE(party.payloadBytes, at + 10)
    fixed.writeUInt32BE(party.reassemblyBytes, at + 12)
    at += 16
  }
  return asBuffer(
    crypto.hash(
      TRANSCRIPT_LABEL,
      fixed,
      cluster.clusterId,
      cluster.genesisDigest,
      initiator.publicKey,
      responder.publicKey,
      initiator.ephemeral,
      responder.ephemeral,
    ),
  )
}

export const acceptBytes = (transcript: Buffer): Buffer => Buffer.concat([ACCEPT_LABEL, transcript])
export const finishBytes = (transcript: Buffer): Buffer => Buffer.concat([FINISH_LABEL, transcript])

/** One key per direction, one for the FINISH, all bound to the transcript. */
export function deriveKeys(crypto: ChannelCrypto, shared: Uint8Array, transcript: Uint8Array): SessionKeys {
  const master = crypto.mac(shared, TRANSCRIPT_LABEL, transcript)
  return {
    initiator: crypto.mac(master, INITIATOR_KEY_LABEL),
    responder: crypto.mac(master, RESPONDER_KEY_LABEL),
    finish: crypto.mac(master, FINISH_KEY_LABEL),
  }
}

/** The signature travels sealed: a forger without the session's secret costs the responder no verification. */
export function formatFinish(
  crypto: ChannelCrypto,
  finish: { responderSessionId: number; key: Uint8Array; signature: Uint8Array },
): Buffer {
  const out = Buffer.allocUnsafe(FINISH_BYTES)
  out[0] = FINISH
  out.writeUInt32BE(finish.responderSessionId, 1)
  const header = out.subarray(0, FINISH_HEADER_BYTES)
  crypto.seal(finish.key, 0, header, finish.signature, out.subarray(FINISH_HEADER_BYTES))
  return out
}

/** The initiator's signature, or undefined when the datagram was not sealed under `key`. Length is checked before. */
export function openFinish(crypto: ChannelCrypto, key: Uint8Array, datagram: Buffer): Buffer | undefined {
  const signature = Buffer.allocUnsafe(FINISH_BYTES - FINISH_HEADER_BYTES - TAG_BYTES)
  const header = datagram.subarray(0, FINISH_HEADER_BYTES)
  if (!crypto.open(key, 0, header, datagram.subarray(FINISH_HEADER_BYTES), signature)) return undefined
  return signature.length === SIGNATURE_BYTES ? signature : undefined
}
