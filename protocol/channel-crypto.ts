import sodium from 'sodium-native'
import type { ChannelCrypto } from './channel/crypto.ts'
import { asBuffer } from './channel/wire.ts'

const NONCE_BYTES = 24
const TAG_BYTES = 16
const HASH_BYTES = 32

/**
 * The channel's primitives by libsodium: Ed25519, X25519, BLAKE2b-256, XChaCha20-Poly1305.
 *
 * @param identity the endpoint's Ed25519 key as libsodium keeps it: 64 bytes, seed and public key
 * @throws RangeError for an identity of another length
 */
export function sodiumChannelCrypto(identity: { readonly secretKey: Uint8Array }): ChannelCrypto {
  const secretKey = asBuffer(identity.secretKey)
  if (secretKey.length !== sodium.crypto_sign_SECRETKEYBYTES)
    throw new RangeError('secretKey must be 64 bytes')
  // The packet number is the nonce; its upper bytes stay 0. One buffer: libsodium has read it when the call returns.
  const nonce = Buffer.alloc(NONCE_BYTES)
  return {
    sign(bytes) {
      const signature = Buffer.allocUnsafe(sodium.crypto_sign_BYTES)
      sodium.crypto_sign_detached(signature, asBuffer(bytes), secretKey)
      return signature
    },
    verify(publicKey, bytes, signature) {
      if (publicKey.length !== sodium.crypto_sign_PUBLICKEYBYTES) return false
      if (signature.length !== sodium.crypto_sign_BYTES) return false
      return sodium.crypto_sign_verify_detached(asBuffer(signature), asBuffer(bytes), asBuffer(publicKey))
    },
    keyPair() {
      const pair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(32) }
      sodium.crypto_box_keypair(pair.publicKey, pair.secretKey)
      return pair
    },
    sharedSecret(own, peerPublicKey) {
      if (peerPublicKey.length !== 32) return null
      const shared = Buffer.alloc(32)
      try {
        sodium.crypto_scalarmult(shared, asBuffer(own), asBuffer(peerPublicKey))
        return shared
      } catch {
        return null // libsodium refuses points of low order
      }
    },
    hash(...parts) {
      const out = Buffer.allocUnsafe(HASH_BYTES)
      sodium.crypto_generichash_batch(out, parts.map(asBuffer))
      return out
    },
    mac(key, ...parts) {
      const out = Buffer.allocUnsafe(HASH_BYTES)
      sodium.crypto_generichash_batch(out, parts.map(asBuffer), asBuffer(key))
      return out
    },
    seal(key, packetNumber, ad, plaintext, out) {
      nonce.writeUIntBE(packetNumber, NONCE_BYTES - 6, 6)
      sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        asBuffer(out),
        asBuffer(plaintext),
        asBuffer(ad),
        null,
        nonce,
        asBuffer(key),
      )
    },
    open(key, packetNumber, ad, ciphertext, out) {
      if (ciphertext.length < TAG_BYTES) return false
      nonce.writeUIntBE(packetNumber, NONCE_BYTES - 6, 6)
      try {
        sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
          asBuffer(out),
          null,
          asBuffer(ciphertext),
          asBuffer(ad),
          nonce,
          asBuffer(key),
        )
        return true
      } catch {
        return false // a wrong tag is an exception in sodium-native
      }
    },
    randomBytes(n) {
      const out = Buffer.allocUnsafe(n)
      sodium.randombytes_buf(out)
      return out
    },
  }
}
