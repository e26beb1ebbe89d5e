import { parentPort, workerData } from 'node:worker_threads'
import { sodiumVerifier } from '../../../protocol/crypto.ts'
import { readPacked } from './packed.ts'

/** What the thread gets: `keys` are the public keys, one after the other, and `packed` signatures by their index. */
export type Share = { readonly id: number; readonly packed: Uint8Array<ArrayBuffer>; readonly count: number }
/** A byte each: 1 where the signature holds. */
export type ShareVerdict = { readonly id: number; readonly valid: Uint8Array<ArrayBuffer> }

const KEY_BYTES = 32

/** One verdict for each of the `count` signatures. */
export function verifyShare({ packed, count }: Omit<Share, 'id'>, keys: Uint8Array): Uint8Array<ArrayBuffer> {
  const valid = new Uint8Array(count)
  let index = 0
  for (const { key, signature, bytes } of readPacked(
    Buffer.from(packed.buffer, packed.byteOffset, packed.length),
  )) {
    const publicKey = keys.subarray(key * KEY_BYTES, (key + 1) * KEY_BYTES)
    valid[index++] = sodiumVerifier.verify({ publicKey, bytes, signature }) ? 1 : 0
  }
  return valid
}

const keys: unknown = workerData
if (keys instanceof Uint8Array) {
  parentPort?.on('message', (share: Share) => {
    const valid = verifyShare(share, keys)
    const verdict: ShareVerdict = { id: share.id, valid }
    parentPort?.postMessage(verdict, [valid.buffer])
  })
}
