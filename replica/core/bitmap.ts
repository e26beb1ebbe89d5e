/** A set of small numbers, one bit each, as STATUS carries them [CP5]. */
export const bitmapOf = (bits: number): Uint8Array => new Uint8Array(Math.ceil(bits / 8))

/** `bit` must be within the bitmap. */
export function setBit(bitmap: Uint8Array, bit: number): void {
  bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7))
}

/** False beyond the bitmap's end: a peer may send a short one. */
export const hasBit = (bitmap: Uint8Array, bit: number): boolean =>
  (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1
