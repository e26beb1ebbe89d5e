import type { ChannelCrypto } from './crypto.ts'
import { KEY_BYTES } from './crypto.ts'

/**
 * Stateless proof that an address can receive: a MAC over address and HELLO under a secret of this process. Nothing is
 * remembered per HELLO, so a flood from forged addresses costs one MAC each.
 */
export class CookieJar {
  private readonly crypto: ChannelCrypto
  private readonly rotationMs: number
  private generation = Number.NEGATIVE_INFINITY
  private current: Uint8Array
  private previous: Uint8Array

  constructor(crypto: ChannelCrypto, rotationMs: number) {
    this.crypto = crypto
    this.rotationMs = rotationMs
    this.current = crypto.randomBytes(KEY_BYTES)
    this.previous = crypto.randomBytes(KEY_BYTES)
  }

  make(address: string, content: Uint8Array, nowMs: number): Uint8Array {
    this.rotate(nowMs)
    return this.crypto.mac(this.current, content, Buffer.from(address))
  }

  /** A cookie holds for one to two rotations. */
  valid(address: string, content: Uint8Array, cookie: Buffer, nowMs: number): boolean {
    this.rotate(nowMs)
    const where = Buffer.from(address)
    // Timing tells an attacker nothing it could use: to learn a MAC byte by byte it would have to own the address.
    return (
      cookie.equals(this.crypto.mac(this.current, content, where)) ||
      cookie.equals(this.crypto.mac(this.previous, content, where))
    )
  }

  private rotate(nowMs: number): void {
    const generation = Math.floor(nowMs / this.rotationMs)
    if (generation <= this.generation) return
    const first = this.generation === Number.NEGATIVE_INFINITY
    // After a long silence the current secret is old too: both go.
    if (!first)
      this.previous = generation === this.generation + 1 ? this.current : this.crypto.randomBytes(KEY_BYTES)
    if (!first) this.current = this.crypto.randomBytes(KEY_BYTES)
    this.generation = generation
  }
}
