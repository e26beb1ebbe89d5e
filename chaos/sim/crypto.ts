import sodium from 'sodium-native'
import type { ChannelCrypto } from '../../protocol/channel/crypto.ts'
import { sodiumChannelCrypto } from '../../protocol/channel-crypto.ts'
import {
  keyPairFromSeed,
  type Signer,
  signerOf,
  sodiumVerifier,
  type Verifier,
} from '../../protocol/crypto.ts'
import type { Random } from './random.ts'

const SIGNATURE_BYTES = 64
const TAG_BYTES = 16
const KEY_BYTES = 32

/** One principal's keys and what is made with them. */
export type Identity = {
  readonly publicKey: Uint8Array
  readonly signer: Signer
  /** A new one for each start: sessions of different processes share nothing. */
  channelCrypto(random: Random): ChannelCrypto
}

export type CryptoSuite = { readonly verifier: Verifier; identity(random: Random): Identity }

/** Signatures that are remembered as right. */
const VERIFIED_MAX = 8_192

/** The same verifier for all: what one replica found right the others need not work out again, byte for byte the same. */
function rememberingVerifier(verifier: Verifier): Verifier {
  const verified = new Map<string, { readonly publicKey: Uint8Array; readonly bytes: Uint8Array }>()
  return {
    verify({ publicKey, bytes, signature }) {
      const name = Buffer.from(signature).toString('latin1')
      const known = verified.get(name)
      if (
        known !== undefined &&
        Buffer.compare(known.publicKey, publicKey) === 0 &&
        Buffer.compare(known.bytes, bytes) === 0
      ) {
        return true
      }
      if (!verifier.verify({ publicKey, bytes, signature })) return false
      if (verified.size >= VERIFIED_MAX) verified.clear()
      verified.set(name, { publicKey: Uint8Array.from(publicKey), bytes: Uint8Array.from(bytes) })
      return true
    },
  }
}

/** The primitives of production; only their randomness is the run's. */
export const realSuite: CryptoSuite = {
  verifier: rememberingVerifier(sodiumVerifier),
  identity(random) {
    const { publicKey, secretKey } = keyPairFromSeed(random.bytes(KEY_BYTES))
    return {
      publicKey,
      signer: signerOf(secretKey),
      channelCrypto: (processRandom) => ({
        ...sodiumChannelCrypto({ secretKey }),
        keyPair() {
          const secret = processRandom.bytes(KEY_BYTES)
          const point = Buffer.alloc(KEY_BYTES)
          sodium.crypto_scalarmult_base(point, secret)
          return { publicKey: point, secretKey: secret }
        },
        randomBytes: (length) => processRandom.bytes(length),
      }),
    }
  },
}

/**
 * Stand-ins that cost next to nothing. Whoever knows a public key can forge them, and nobody in a simulation tries:
 * what they must do is fail for bytes that chance changed, and for another signer or session.
 */
export const fastSuite: CryptoSuite = {
  verifier: {
    verify: ({ publicKey, bytes, signature }) =>
      signature.length === SIGNATURE_BYTES && isFilled(signature, hash(wordOf(publicKey), bytes)),
  },
  identity(random) {
    const publicKey = random.bytes(KEY_BYTES)
    const key = wordOf(publicKey)
    return {
      publicKey,
      signer: { sign: (bytes) => filled(SIGNATURE_BYTES, hash(key, bytes)) },
      channelCrypto: (processRandom) => fastChannelCrypto(key, processRandom),
    }
  },
}

function fastChannelCrypto(key: number, random: Random): ChannelCrypto {
  const digest = (seed: number, parts: readonly Uint8Array[]) =>
    filled(
      KEY_BYTES,
      parts.reduce((state, part) => hash(state, part), seed),
    )
  return {
    sign: (bytes) => filled(SIGNATURE_BYTES, hash(key, bytes)),
    verify: (publicKey, bytes, signature) => fastSuite.verifier.verify({ publicKey, bytes, signature }),
    keyPair() {
      const secretKey = random.bytes(KEY_BYTES)
      return { secretKey, publicKey: Buffer.from(secretKey) }
    },
    sharedSecret: (own, peer) => own.map((byte, at) => byte ^ (peer[at] ?? 0)),
    hash: (...parts) => digest(1, parts),
    mac: (macKey, ...parts) => digest(wordOf(macKey), parts),
    seal(sealKey, packetNumber, ad, plaintext, out) {
      out.set(plaintext)
      fill(out, plaintext.length, hash(hash(wordOf(sealKey) ^ packetNumber, ad), plaintext))
    },
    open(openKey, packetNumber, ad, ciphertext, out) {
      const length = ciphertext.length - TAG_BYTES
      if (length < 0) return false
      const tag = hash(hash(wordOf(openKey) ^ packetNumber, ad), ciphertext, length)
      if (!isFilled(ciphertext, tag, length)) return false
      out.set(ciphertext.subarray(0, length))
      return true
    },
    randomBytes: (length) => random.bytes(length),
  }
}

const wordOf = (key: Uint8Array): number =>
  ((key[0] ?? 0) | ((key[1] ?? 0) << 8) | ((key[2] ?? 0) << 16) | ((key[3] ?? 0) << 24)) ^
  Math.imul((key[4] ?? 0) | ((key[5] ?? 0) << 8) | ((key[6] ?? 0) << 16) | ((key[7] ?? 0) << 24), 0x9e3779b1)

/** 32 bits: chance passes one changed datagram in four thousand million. */
function hash(seed: number, bytes: Uint8Array, length = bytes.length): number {
  let state = seed ^ Math.imul(length + 1, 0x9e3779b1)
  for (let at = 0; at < length; at++) {
    state = Math.imul(state ^ (bytes[at] ?? 0), 0x01000193)
    state ^= state >>> 15
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  return state ^ (state >>> 13)
}

function filled(length: number, word: number): Buffer {
  const out = Buffer.allocUnsafe(length)
  fill(out, 0, word)
  return out
}

/** Every byte of a tag counts: a bit that flips in any of them is seen. */
function fill(out: Uint8Array, from: number, word: number): void {
  for (let at = from; at < out.length; at++) out[at] = word >>> (((at - from) & 3) << 3)
}

function isFilled(bytes: Uint8Array, word: number, from = 0): boolean {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] !== ((word >>> (((at - from) & 3) << 3)) & 0xff)) return false
  }
  return true
}
