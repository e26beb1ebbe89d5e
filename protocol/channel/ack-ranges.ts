/** Ranges kept and sent; the lowest is forgotten first (its packets are then sent again, and found duplicate). */
export const ACK_RANGES_MAX = 32

/** Received packet numbers as closed ranges, newest first. In order arrival touches one number. */
export class AckRanges {
  readonly starts: number[] = []
  readonly ends: number[] = []

  get count(): number {
    return this.starts.length
  }

  get largest(): number {
    return this.ends[0] ?? -1
  }

  add(packetNumber: number): void {
    const { starts, ends } = this
    for (let i = 0; i < starts.length; i++) {
      const end = ends[i] ?? 0
      const start = starts[i] ?? 0
      if (packetNumber > end + 1) {
        this.insert(i, packetNumber)
        return
      }
      if (packetNumber === end + 1) {
        ends[i] = packetNumber // the range above, if adjacent, would have been met first
        return
      }
      if (packetNumber >= start) return
      if (packetNumber === start - 1) {
        starts[i] = packetNumber
        if (i + 1 < starts.length && ends[i + 1] === packetNumber - 1) {
          starts[i] = starts[i + 1] ?? packetNumber
          starts.splice(i + 1, 1)
          ends.splice(i + 1, 1)
        }
        return
      }
    }
    if (starts.length < ACK_RANGES_MAX) this.insert(starts.length, packetNumber)
  }

  /** The peer has seen our acknowledgement of everything up to here; it need not be repeated. */
  forgetUpTo(packetNumber: number): void {
    while (this.ends.length > 1 && (this.ends[this.ends.length - 1] ?? 0) <= packetNumber) {
      this.starts.pop()
      this.ends.pop()
    }
  }

  private insert(index: number, packetNumber: number): void {
    this.starts.splice(index, 0, packetNumber)
    this.ends.splice(index, 0, packetNumber)
    if (this.starts.length > ACK_RANGES_MAX) {
      this.starts.pop()
      this.ends.pop()
    }
  }
}
