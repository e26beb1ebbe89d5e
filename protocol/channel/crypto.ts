/**
 * The primitives the channel needs, injected so that the simulator can use cheap, seeded stand-ins and so that this
 * directory imports nothing native. Every function is total over remote bytes: a wrong length is `false` or `null`.
 */
export interface ChannelCrypto {
  /** Ed25519 signature (64 bytes) by this endpoint's identity. */
  sign(bytes: Uint8Array): Uint8Array
  /** Ed25519 verification; false for a key or signature of the wrong length. */
  verify(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean
  /** A fresh X25519 pair, 32 bytes each. */
  keyPair(): { publicKey: Uint8Array; secretKey: Uint8Array }
  /** X25519; null for a low-order point, whose "secret" everybody knows. */
  sharedSecret(secretKey: Uint8Array, peerPublicKey: Uint8Array): Uint8Array | null
  /** BLAKE2b-256 over the concatenation of the parts. The channel only passes layouts of fixed length. */
  hash(...parts: Uint8Array[]): Uint8Array
  /** BLAKE2b-256 keyed with 32 bytes: the cookie's MAC and the key derivation. */
  mac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array
  /** AEAD; `out` holds exactly plaintext.length + TAG_BYTES. A (key, packetNumber) pair is used once. */
  seal(key: Uint8Array, packetNumber: number, ad: Uint8Array, plaintext: Uint8Array, out: Uint8Array): void
  /** AEAD; `out` holds exactly ciphertext.length - TAG_BYTES. False when the tag does not match. */
  open(
    key: Uint8Array,
    packetNumber: number,
    ad: Uint8Array,
    ciphertext: Uint8Array,
    out: Uint8Array,
  ): boolean
  /** The channel's only source of randomness: session ids, cookie secrets. */
  randomBytes(n: number): Uint8Array
}

export const TAG_BYTES = 16
export const KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
export const PUBLIC_KEY_BYTES = 32
