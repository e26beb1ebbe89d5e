const BITS = 4096
const WORDS = BITS / 32

/**
 * Which packet numbers have been opened. Older than the window counts as seen: a packet that late was retransmitted
 * under another number long ago. Only mark() moves it, and only after AEAD succeeded (design section 2, "cheapest check first").
 */
export class ReplayWindow {
  private highest = -1
  private readonly bits = new Uint32Array(WORDS)

  seen(packetNumber: number): boolean {
    if (packetNumber > this.highest) return false
    if (packetNumber <= this.highest - BITS) return true
    return ((this.bits[(packetNumber % BITS) >>> 5] ?? 0) & (1 << (packetNumber & 31))) !== 0
  }

  mark(packetNumber: number): void {
    if (packetNumber > this.highest) {
      if (packetNumber - this.highest >= BITS) this.bits.fill(0)
      else for (let n = this.highest + 1; n <= packetNumber; n++) this.clear(n)
      this.highest = packetNumber
    }
    const word = (packetNumber % BITS) >>> 5
    this.bits[word] = (this.bits[word] ?? 0) | (1 << (packetNumber & 31))
  }

  private clear(packetNumber: number): void {
    const word = (packetNumber % BITS) >>> 5
    this.bits[word] = (this.bits[word] ?? 0) & ~(1 << (packetNumber & 31))
  }
}

/** How many message ids may be open at once; part of the protocol, since sender and receiver must agree. */
export const MESSAGE_WINDOW = 16_384

/**
 * Which message ids are complete. A retransmission has a new packet number, so packet numbers alone do not keep a
 * message from arriving twice. The sender opens no id at or above its lowest incomplete one + MESSAGE_WINDOW, so this
 * window loses nothing.
 */
export class MessageWindow {
  private base = 0
  private readonly bits = new Uint32Array(MESSAGE_WINDOW / 32)

  /** 'future' is beyond what a correct sender opens. */
  state(id: number): 'new' | 'complete' | 'future' {
    if (id < this.base) return 'complete'
    if (id >= this.base + MESSAGE_WINDOW) return 'future'
    return this.isSet(id) ? 'complete' : 'new'
  }

  complete(id: number): void {
    const word = (id % MESSAGE_WINDOW) >>> 5
    this.bits[word] = (this.bits[word] ?? 0) | (1 << (id & 31))
    while (this.isSet(this.base)) {
      const at = (this.base % MESSAGE_WINDOW) >>> 5
      this.bits[at] = (this.bits[at] ?? 0) & ~(1 << (this.base & 31))
      this.base += 1
    }
  }

  private isSet(id: number): boolean {
    return ((this.bits[(id % MESSAGE_WINDOW) >>> 5] ?? 0) & (1 << (id & 31))) !== 0
  }
}
