import sodium from 'sodium-native'
import type { Digest } from './types.ts'
import { digestFromBytes } from './types.ts'

export const DIGEST_BYTES = 32
export const SIGNATURE_BYTES = 64
export const PUBLIC_KEY_BYTES = 32
export const SECRET_KEY_BYTES = 64
export const SEED_BYTES = 32

export type KeyPair = { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }

/** Ed25519 over fixed layouts (signing.ts). The simulator puts a cheap stand-in here. */
export interface Signer {
  sign(bytes: Uint8Array): Uint8Array
}
export interface Verifier {
  /** False for a wrong length, key or signature; never throws on remote bytes. */
  verify(args: { publicKey: Uint8Array; bytes: Uint8Array; signature: Uint8Array }): boolean
}

/** BLAKE2b-256 over the parts, one after the other; parts of variable length must be length-prefixed by the caller. */
export function digestOf(...parts: readonly Uint8Array[]): Digest {
  const out = Buffer.allocUnsafe(DIGEST_BYTES)
  const [only] = parts
  if (parts.length === 1 && only !== undefined) sodium.crypto_generichash(out, asBuffer(only))
  else sodium.crypto_generichash_batch(out, parts.map(asBuffer))
  return digestFromBytes(out)
}

export function keyPairFromSeed(seed: Uint8Array): KeyPair {
  const publicKey = Buffer.alloc(PUBLIC_KEY_BYTES)
  const secretKey = Buffer.alloc(SECRET_KEY_BYTES)
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, asBuffer(seed))
  return { publicKey, secretKey }
}

export function randomBytes(length: number): Buffer {
  const out = Buffer.allocUnsafe(length)
  sodium.randombytes_buf(out)
  return out
}

export const signerOf = (secretKey: Uint8Array): Signer => ({
  sign(bytes) {
    const signature = Buffer.allocUnsafe(SIGNATURE_BYTES)
    sodium.crypto_sign_detached(signature, asBuffer(bytes), asBuffer(secretKey))
    return signature
  },
})

export const sodiumVerifier: Verifier = {
  verify({ publicKey, bytes, signature }) {
    if (signature.length !== SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return false
    return sodium.crypto_sign_verify_detached(asBuffer(signature), asBuffer(bytes), asBuffer(publicKey))
  },
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
