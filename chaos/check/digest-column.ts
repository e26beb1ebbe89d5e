import { type Digest, digestFromBytes } from '../../protocol/types.ts'

const DIGEST_BYTES = 32
const ROOM_MIN = 1_024
const ABSENT = Buffer.alloc(DIGEST_BYTES)

/** A digest for each sequence number, 32 bytes of memory each. */
export class DigestColumn {
  #bytes: Buffer = Buffer.alloc(ROOM_MIN * DIGEST_BYTES)
  #highest = 0

  /** The highest that was set; 0: none. */
  get highest(): number {
    return this.#highest
  }

  set(seq: number, digest: Digest): void {
    const at = seq * DIGEST_BYTES
    if (at + DIGEST_BYTES > this.#bytes.length) {
      const larger = Buffer.alloc(2 * (at + DIGEST_BYTES))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.write(digest, at, 'hex')
    this.#highest = Math.max(this.#highest, seq)
  }

  get(seq: number): Digest | undefined {
    const at = seq * DIGEST_BYTES
    if (seq > this.#highest) return undefined
    const bytes = this.#bytes.subarray(at, at + DIGEST_BYTES)
    return bytes.equals(ABSENT) ? undefined : digestFromBytes(bytes)
  }
}
