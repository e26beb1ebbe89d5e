import { Fifo } from './fifo.ts'
import { MESSAGE_WINDOW } from './replay-window.ts'
import { FRAGMENT_FRAME_BYTES, MESSAGE_FRAME_BYTES } from './wire.ts'

/** Charged beside a message's bytes, so that empty messages cannot fill memory for free. */
export const MESSAGE_OVERHEAD_BYTES = 64

/** A message that send() accepted. The bytes are the caller's: it must not change them. */
export type OutMessage = {
  readonly bytes: Buffer
  readonly queuedAtMs: number
  /** Assigned at the first transmission; -1 before. */
  id: number
  /** Bytes handed out for a first transmission. */
  sentBytes: number
  /** Bytes acknowledged. */
  ackedBytes: number
}

/** What one frame carries of a message; `whole` says which frame. In flight in at most one packet at a time. */
export type Chunk = {
  readonly message: OutMessage
  readonly whole: boolean
  readonly offset: number
  readonly length: number
}

/**
 * The messages of one session that are not yet acknowledged: queued, cut into chunks, returned when a packet is lost.
 * Small messages do not wait behind large ones: packets begin with the one and the other in turn.
 */
export class Outbox {
  private readonly small = new Fifo<OutMessage>()
  private readonly large = new Fifo<OutMessage>()
  private readonly again = new Fifo<Chunk>()
  private largeTurn = false
  private nextId = 0
  /** Lowest id not acknowledged; ids from here to nextId - 1 may be open. */
  private lowestOpen = 0
  private readonly done = new Uint8Array(MESSAGE_WINDOW)
  private largeOpenBytes = 0
  /** Started and not acknowledged: what is reported lost at the session's end. */
  openMessages = 0

  private readonly wholeBytesMax: number
  private readonly fragmentBytes: number
  private readonly peerReassemblyBytes: number
  private readonly released: (message: OutMessage) => void

  /**
   * @param sizes.roomBytes what a packet has for data frames, headers included
   * @param released called once per message when all of it is acknowledged
   */
  constructor(
    sizes: { roomBytes: number; peerReassemblyBytes: number },
    released: (message: OutMessage) => void,
  ) {
    this.wholeBytesMax = sizes.roomBytes - MESSAGE_FRAME_BYTES
    this.fragmentBytes = sizes.roomBytes - FRAGMENT_FRAME_BYTES
    this.peerReassemblyBytes = sizes.peerReassemblyBytes
    this.released = released
  }

  get fragmentSize(): number {
    return this.fragmentBytes
  }

  push(message: OutMessage): void {
    if (message.bytes.length <= this.wholeBytesMax) this.small.push(message)
    else this.large.push(message)
  }

  /** Whether nextChunk() of an empty packet would give something. */
  get hasChunk(): boolean {
    if (this.again.length > 0) return true
    return (this.small.length > 0 && this.idFree) || this.largeStartable
  }

  get hasLost(): boolean {
    return this.again.length > 0
  }

  /** Before each packet: small and large take turns at its beginning. */
  beginPacket(): void {
    this.largeTurn = !this.largeTurn
  }

  /** The next chunk whose frame takes at most `roomBytes`. */
  nextChunk(roomBytes: number): Chunk | undefined {
    const lost = this.again.peek()
    if (lost !== undefined) {
      if (frameBytes(lost) > roomBytes) return undefined
      return this.again.shift()
    }
    if (this.largeTurn) return this.nextFragment(roomBytes) ?? this.nextSmall(roomBytes)
    return this.nextSmall(roomBytes) ?? this.nextFragment(roomBytes)
  }

  acked(chunk: Chunk): void {
    const message = chunk.message
    // An empty message has no bytes to count: its one chunk is all of it.
    message.ackedBytes += chunk.length
    if (message.ackedBytes < message.bytes.length) return
    if (!chunk.whole) this.largeOpenBytes -= message.bytes.length
    this.openMessages -= 1
    this.done[message.id % MESSAGE_WINDOW] = 1
    while (this.lowestOpen < this.nextId && this.done[this.lowestOpen % MESSAGE_WINDOW] === 1) {
      this.done[this.lowestOpen % MESSAGE_WINDOW] = 0
      this.lowestOpen += 1
    }
    this.released(message)
  }

  lost(chunk: Chunk): void {
    this.again.push(chunk)
  }

  /** Messages of which no byte was ever sent: another session may take them without a risk of delivering twice. */
  takeUnsent(): OutMessage[] {
    const unsent: OutMessage[] = []
    for (const queue of [this.small, this.large]) {
      for (let message = queue.shift(); message !== undefined; message = queue.shift()) {
        if (message.id === -1) unsent.push(message)
      }
    }
    return unsent
  }

  private get idFree(): boolean {
    return this.nextId - this.lowestOpen < MESSAGE_WINDOW
  }

  /** The head of the large queue is under way, or the peer has room for it beside those under way. */
  private get largeStartable(): boolean {
    const head = this.large.peek()
    if (head === undefined) return false
    if (head.id !== -1) return true
    const fits =
      this.largeOpenBytes === 0 || this.largeOpenBytes + head.bytes.length <= this.peerReassemblyBytes
    return fits && this.idFree
  }

  private open(message: OutMessage): void {
    message.id = this.nextId
    this.nextId += 1
    this.openMessages += 1
  }

  private nextSmall(roomBytes: number): Chunk | undefined {
    const message = this.small.peek()
    if (message === undefined || message.bytes.length + MESSAGE_FRAME_BYTES > roomBytes || !this.idFree)
      return undefined
    this.small.shift()
    this.open(message)
    message.sentBytes = message.bytes.length
    return { message, whole: true, offset: 0, length: message.bytes.length }
  }

  private nextFragment(roomBytes: number): Chunk | undefined {
    const message = this.large.peek()
    if (message === undefined || !this.largeStartable) return undefined
    const length = Math.min(this.fragmentBytes, message.bytes.length - message.sentBytes)
    if (length + FRAGMENT_FRAME_BYTES > roomBytes) return undefined
    if (message.id === -1) {
      this.open(message)
      this.largeOpenBytes += message.bytes.length
    }
    const offset = message.sentBytes
    message.sentBytes += length
    if (message.sentBytes === message.bytes.length) this.large.shift()
    return { message, whole: false, offset, length }
  }
}

/** Bytes of a chunk's frame, header included. */
export const frameBytes = (chunk: Chunk): number =>
  chunk.length + (chunk.whole ? MESSAGE_FRAME_BYTES : FRAGMENT_FRAME_BYTES)
