import type { Seq } from '../../protocol/types.ts'
import { Slot } from './slot.ts'

/** The slots between the water marks: h < seq <= H [CP1]. */
export class SlotLog {
  readonly #slots = new Map<Seq, Slot>()
  readonly window: number
  #low: Seq

  constructor(low: Seq, window: number) {
    this.#low = low
    this.window = window
  }

  /** h: the stable checkpoint. */
  get lowWaterMark(): Seq {
    return this.#low
  }

  /** H = h + L. */
  get highWaterMark(): Seq {
    return (this.#low + this.window) as Seq
  }

  get size(): number {
    return this.#slots.size
  }

  contains(seq: Seq): boolean {
    return seq > this.#low && seq <= this.highWaterMark
  }

  /** The slot of `seq` as far as there is one. */
  get(seq: Seq): Slot | undefined {
    return this.#slots.get(seq)
  }

  /** The slot of `seq`, made when it is missing. `seq` must be in the window. */
  at(seq: Seq): Slot {
    if (!this.contains(seq)) throw new Error(`seq ${seq} outside (${this.#low}, ${this.highWaterMark}]`)
    let slot = this.#slots.get(seq)
    if (slot === undefined) {
      slot = new Slot(seq)
      this.#slots.set(seq, slot)
    }
    return slot
  }

  *all(): Generator<Slot> {
    yield* this.#slots.values()
  }

  /** Moves h up and drops what is at or below it. */
  moveTo(low: Seq): void {
    if (low <= this.#low) return
    this.#low = low
    for (const seq of this.#slots.keys()) if (seq <= low) this.#slots.delete(seq)
  }
}
