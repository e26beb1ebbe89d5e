import { digestOf } from './crypto.ts'
import type { Batch, Request, SignedType, Statement } from './messages.ts'
import type { Digest } from './types.ts'
import { digestToBytes } from './types.ts'

/**
 * [AU1] What is signed: a fixed layout, never re-encoded msgpack.
 *
 *   'pbft' | wire version u8 | cluster id 16 | message type u8 | view u64 | seq u64 | signer u32 | digest 32 ...
 *
 * all big-endian. Fields a type does not have are 0. The digests are: REQUEST the body's; PRE-PREPARE, PREPARE and
 * COMMIT the batch's; CHECKPOINT stateRoot then chain; VIEW-CHANGE and NEW-VIEW the body's.
 */
export const WIRE_VERSION = 1
export const CLUSTER_ID_BYTES = 16

const SIGNED_TYPES: Readonly<Record<SignedType, number>> = {
  request: 1,
  'pre-prepare': 2,
  prepare: 3,
  commit: 4,
  checkpoint: 5,
  'view-change': 6,
  'new-view': 7,
}
const HEAD_BYTES = 4 + 1 + CLUSTER_ID_BYTES + 1 + 8 + 8 + 4

/** `clusterId` is CLUSTER_ID_BYTES long. */
export function signedBytes(clusterId: Uint8Array, statement: Statement): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + 32 * statement.digests.length)
  bytes.write('pbft', 0, 'latin1')
  bytes[4] = WIRE_VERSION
  bytes.set(clusterId, 5)
  let at = 5 + CLUSTER_ID_BYTES
  bytes[at++] = SIGNED_TYPES[statement.type]
  at = writeUint64(bytes, statement.view, at)
  at = writeUint64(bytes, statement.seq, at)
  at = bytes.writeUInt32BE(statement.signer, at)
  for (const digest of statement.digests) at += bytes.write(digest, at, 'hex')
  return bytes
}

/** `value` is an integer below 2^53. Returns the offset behind it. */
export function writeUint64(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  return bytes.writeUInt32BE(value >>> 0, at + 4)
}

/** [CP1] [VC6] A sequence number that nobody filled: no requests, no results. */
export const NULL_BATCH_DIGEST: Digest = digestOf(Buffer.from('pbft-ledger null batch', 'latin1'))
export const NULL_BATCH: Batch = { digest: NULL_BATCH_DIGEST, requests: [] }

const BATCH_DOMAIN = Buffer.from('pbft-ledger batch', 'latin1')

/** [AU4] Over (request digest, signature) of each request, in order, with their number. */
export function batchDigestOf(requests: readonly Pick<Request, 'digest' | 'signature'>[]): Digest {
  if (requests.length === 0) return NULL_BATCH_DIGEST
  const bytes = Buffer.allocUnsafe(BATCH_DOMAIN.length + 4 + requests.length * (32 + 64))
  bytes.set(BATCH_DOMAIN, 0)
  let at = bytes.writeUInt32BE(requests.length, BATCH_DOMAIN.length)
  for (const request of requests) {
    at += bytes.write(request.digest, at, 'hex')
    bytes.set(request.signature, at)
    at += 64
  }
  return digestOf(bytes)
}

export const batchOf = (requests: readonly Request[]): Batch => ({
  digest: batchDigestOf(requests),
  requests,
})

/** [NC9] What must agree about executing one seq, beside its batch. */
export const resultsDigestOf = (repliesDigest: Digest, transfersDigest: Digest): Digest =>
  digestOf(digestToBytes(repliesDigest), digestToBytes(transfersDigest))

/** [NC9] c_n = H(c_{n-1}, n, batchDigest, resultsDigest); no view in it. */
export function chainDigestOf(link: {
  readonly previous: Digest
  readonly seq: number
  readonly batchDigest: Digest
  readonly resultsDigest: Digest
}): Digest {
  const bytes = Buffer.allocUnsafe(32 + 8 + 32 + 32)
  bytes.write(link.previous, 0, 'hex')
  writeUint64(bytes, link.seq, 32)
  bytes.write(link.batchDigest, 40, 'hex')
  bytes.write(link.resultsDigest, 72, 'hex')
  return digestOf(bytes)
}
