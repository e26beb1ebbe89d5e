import { type Frame, type FrameHead, frameLength, writeFrame } from './frames.ts'

const BYTES_MIN = 2 ** 16
/** A larger buffer than this is not kept for the next group. */
const KEPT_BYTES_MAX = 2 ** 20

/** Frames that go to disk in one write, in a buffer that is used again. */
export class Group {
  /** Offsets count from the group's start. */
  frames: Frame[] = []
  #buffer: Buffer = Buffer.allocUnsafe(BYTES_MIN)
  #length = 0

  get length(): number {
    return this.#length
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  add(head: FrameHead, { marker, payload }: { marker: Uint8Array; payload: Uint8Array }): void {
    const end = this.#length + frameLength(payload.length)
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, 2 * this.#buffer.length))
      larger.set(this.bytes)
      this.#buffer = larger
    }
    this.frames.push(writeFrame(this.#buffer, this.#length, { marker, head, payload }))
    this.#length = end
  }

  clear(): void {
    this.frames = []
    this.#length = 0
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = Buffer.allocUnsafe(BYTES_MIN)
  }
}
