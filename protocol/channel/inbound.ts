import type { Peer } from './peer.ts'
import { type FragmentHeader, Reassembly } from './reassembly.ts'
import { MessageWindow } from './replay-window.ts'
import type { SessionHost } from './session.ts'
import * as wire from './wire.ts'

/** The messages that come in on one session: each delivered once, fragments put together, within bounds. */
export class Inbound {
  readonly reassembly: Reassembly
  /** A frame of the packet being read found no room: the packet is not acknowledged, so it comes again. */
  refused = false
  /** The packet being read asks for an acknowledgement. */
  eliciting = false

  private readonly messages = new MessageWindow()
  private readonly host: SessionHost
  private readonly peer: Peer

  constructor(host: SessionHost, peer: Peer) {
    this.host = host
    this.peer = peer
    this.reassembly = new Reassembly(
      {
        messageBytesMax: host.limits.messageBytesMax,
        bytesMax: peer.class.limits.reassemblyBytesPerPeerMax,
      },
      peer.class.reassemblyBudget,
      host.counters,
    )
  }

  /** `refused` from the start: the peer is above its rate, only acknowledgements are read. */
  beginPacket(refused: boolean): void {
    this.refused = refused
    this.eliciting = false
  }

  /** The position after the frame at `at`, or -1 when no correct peer writes it. */
  readMessage(plain: Buffer, at: number): number {
    const from = at + wire.MESSAGE_FRAME_BYTES
    if (from > plain.length) return -1
    const id = plain.readUIntBE(at + 1, 6)
    const end = from + plain.readUInt16BE(at + 7)
    if (end > plain.length) return -1
    this.eliciting = true
    if (this.refused) return end
    const state = this.messages.state(id)
    if (state === 'future') return -1
    if (state === 'complete') {
      this.host.counters.duplicate += 1
      return end
    }
    if (!this.roomToDeliver(end - from)) return end
    this.messages.complete(id)
    const message = Buffer.allocUnsafe(end - from)
    plain.copy(message, 0, from, end)
    this.host.deliver(this.peer, message)
    return end
  }

  /** As readMessage(). */
  readFragment(plain: Buffer, at: number, nowMs: number): number {
    const from = at + wire.FRAGMENT_FRAME_BYTES
    if (from > plain.length) return -1
    const header: FragmentHeader = {
      id: plain.readUIntBE(at + 1, 6),
      totalBytes: plain.readUInt32BE(at + 7),
      fragmentBytes: plain.readUInt16BE(at + 11),
      index: plain.readUInt32BE(at + 13),
    }
    if (!this.reassembly.plausible(header)) return -1
    const rest = header.totalBytes - header.index * header.fragmentBytes
    const end = from + Math.min(header.fragmentBytes, rest)
    if (end > plain.length) return -1
    this.eliciting = true
    if (this.refused) return end
    const state = this.messages.state(header.id)
    if (state === 'future') return -1
    if (state === 'complete') {
      this.host.counters.duplicate += 1
      return end
    }
    // The event's room is asked for with every fragment: the last one must find it, and nobody knows which that is.
    if (!this.roomToDeliver(header.totalBytes)) return end
    const result = this.reassembly.add(header, plain, { from, to: end }, nowMs)
    if (result === 'violation') return -1
    if (result === 'refused') this.refused = true
    else if (result === 'duplicate') this.host.counters.duplicate += 1
    else if (result !== 'kept') {
      this.messages.complete(header.id)
      this.host.deliver(this.peer, result)
    }
    return end
  }

  private roomToDeliver(bytes: number): boolean {
    const { peer } = this
    const { counters } = this.host
    if (!peer.arrived.hasRoomFor(bytes)) counters.peerEventsFull += 1
    else if (!peer.class.eventBudget.fits(bytes)) counters.eventsFull += 1
    else return true
    this.refused = true
    return false
  }
}
