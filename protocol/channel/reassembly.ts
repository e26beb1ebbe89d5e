import type { ByteBudget, Counters } from './counters.ts'
import { FRAGMENT_BYTES_MIN } from './wire.ts'

type Partial = {
  readonly bytes: Buffer
  readonly fragmentBytes: number
  readonly have: Uint8Array
  missing: number
  touchedAtMs: number
}

export type FragmentHeader = {
  readonly id: number
  readonly totalBytes: number
  readonly fragmentBytes: number
  readonly index: number
}

/** 'refused': no room, do not acknowledge; 'violation': no correct sender writes this. */
export type FragmentResult = Buffer | 'kept' | 'duplicate' | 'refused' | 'violation'

/** The partly received messages of one peer, within its own bound and its class's. */
export class Reassembly {
  private readonly partials = new Map<number, Partial>()
  private usedBytes = 0
  private readonly bounds: { readonly messageBytesMax: number; readonly bytesMax: number }
  private readonly total: ByteBudget
  private readonly counters: Counters

  constructor(bounds: { messageBytesMax: number; bytesMax: number }, total: ByteBudget, counters: Counters) {
    this.bounds = bounds
    this.total = total
    this.counters = counters
  }

  get bufferedBytes(): number {
    return this.usedBytes
  }

  /** Whether the lengths make sense; a frame's data length is computed from them, so this comes first. */
  plausible(header: FragmentHeader): boolean {
    return (
      header.totalBytes <= this.bounds.messageBytesMax &&
      header.fragmentBytes >= FRAGMENT_BYTES_MIN &&
      header.index * header.fragmentBytes < header.totalBytes
    )
  }

  /** `data` is the fragment's bytes at [from, to) of `source`. Returns the message when it is complete. */
  add(
    header: FragmentHeader,
    source: Buffer,
    range: { from: number; to: number },
    nowMs: number,
  ): FragmentResult {
    let partial = this.partials.get(header.id)
    if (partial === undefined) {
      partial = this.open(header, nowMs)
      if (partial === undefined) return 'refused'
    }
    if (partial.bytes.length !== header.totalBytes || partial.fragmentBytes !== header.fragmentBytes)
      return 'violation'
    if (partial.have[header.index] === 1) return 'duplicate'
    partial.have[header.index] = 1
    partial.missing -= 1
    partial.touchedAtMs = nowMs
    source.copy(partial.bytes, header.index * header.fragmentBytes, range.from, range.to)
    if (partial.missing > 0) return 'kept'
    this.close(header.id, partial)
    return partial.bytes
  }

  /** A correct sender keeps sending what it began; what rests this long belongs to a faulty one. */
  stalledSince(nowMs: number, stallMs: number): boolean {
    for (const partial of this.partials.values()) {
      if (nowMs - partial.touchedAtMs >= stallMs) return true
    }
    return false
  }

  clear(): void {
    for (const [id, partial] of this.partials) this.close(id, partial)
  }

  private open(header: FragmentHeader, nowMs: number): Partial | undefined {
    const bytes = header.totalBytes
    if (this.usedBytes + bytes > this.bounds.bytesMax || !this.total.fits(bytes)) {
      this.counters.reassemblyFull += 1
      return undefined
    }
    this.usedBytes += bytes
    this.total.take(bytes)
    const fragments = Math.ceil(bytes / header.fragmentBytes)
    const partial: Partial = {
      // Of no pool: what is never finished would keep the whole of it from being freed.
      bytes: Buffer.allocUnsafeSlow(bytes),
      fragmentBytes: header.fragmentBytes,
      have: new Uint8Array(fragments),
      missing: fragments,
      touchedAtMs: nowMs,
    }
    this.partials.set(header.id, partial)
    return partial
  }

  private close(id: number, partial: Partial): void {
    this.partials.delete(id)
    this.usedBytes -= partial.bytes.length
    this.total.give(partial.bytes.length)
  }
}
