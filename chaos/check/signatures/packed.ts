/**
 * Signatures on their way to a thread: key index u16 | length of what is signed u16 | signature 64 | what is signed,
 * big-endian, one after the other.
 */
export const PACKED_HEAD_BYTES = 2 + 2 + 64

export type PackedItem = {
  readonly key: number
  readonly signature: Uint8Array
  readonly bytes: Uint8Array
}

/** Returns the offset behind it. `into` has room. */
export function writePacked(into: Buffer, at: number, { key, signature, bytes }: PackedItem): number {
  into.writeUInt16BE(key, at)
  into.writeUInt16BE(bytes.length, at + 2)
  into.set(signature, at + 4)
  into.set(bytes, at + PACKED_HEAD_BYTES)
  return at + PACKED_HEAD_BYTES + bytes.length
}

/** Views into `packed`. */
export function* readPacked(packed: Buffer): Generator<PackedItem> {
  for (let at = 0; at < packed.length; ) {
    const key = packed.readUInt16BE(at)
    const length = packed.readUInt16BE(at + 2)
    const signature = packed.subarray(at + 4, at + PACKED_HEAD_BYTES)
    const end = at + PACKED_HEAD_BYTES + length
    yield { key, signature, bytes: packed.subarray(at + PACKED_HEAD_BYTES, end) }
    at = end
  }
}
