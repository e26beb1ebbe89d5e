import type { Random } from '../../../chaos/sim/random.ts'
import type { ChannelCrypto } from '../../../protocol/channel/crypto.ts'
import { TAG_BYTES } from '../../../protocol/channel/crypto.ts'
import type { ChannelLimits } from '../../../protocol/channel/limits.ts'
import { HEADER_BYTES, writeHeader } from '../../../protocol/channel/wire.ts'
import { cheapCrypto, type Net, type Node, publicKeyOf } from '../../unit/channel/net.ts'
import { hostileFrames } from './frames.ts'

/** The highest packet number that fits its field. */
const PACKET_MAX = 2 ** 48 - 1

/** An admitted principal: its endpoint makes proper sessions, under whose keys it then says what it likes. */
export class HostilePeer {
  readonly node: Node
  readonly #crypto: ChannelCrypto
  readonly #payloadBytes: number
  /** What its endpoint last sealed with, and for which session of the victim. */
  #session: { readonly key: Uint8Array; readonly id: number; readonly epoch: number } | undefined
  #packetNumber = 0

  constructor(net: Net, id: number, options: { readonly seed: number; readonly limits: ChannelLimits }) {
    this.#payloadBytes = options.limits.payloadBytes
    this.#crypto = cheapCrypto(publicKeyOf(id), options.seed)
    this.node = net.add(id, {
      limits: options.limits,
      crypto: {
        ...this.#crypto,
        seal: (key, packetNumber, ad, plaintext, out) => {
          this.#onSealed(key, Buffer.from(ad))
          this.#crypto.seal(key, packetNumber, ad, plaintext, out)
        },
      },
    })
  }

  /** A FINISH is sealed, too, under a shorter header. */
  #onSealed(key: Uint8Array, header: Buffer): void {
    if (header.length !== HEADER_BYTES) return
    const id = header.readUInt32BE(1)
    if (this.#session?.id !== id) this.#packetNumber = 64
    this.#session = { key, id, epoch: header.readUInt8(5) }
  }

  /** A packet of its session with anything inside; undefined before it has one. */
  packet(random: Random): Buffer | undefined {
    const session = this.#session
    if (session === undefined) return undefined
    const plain = hostileFrames(random, this.#payloadBytes - HEADER_BYTES - TAG_BYTES)
    const epoch = random.chance(0.99) ? session.epoch : random.int(0, 255)
    return this.sealed(plain, { packetNumber: this.#nextNumber(random), epoch })
  }

  /** @throws when there is no session */
  sealed(plain: Uint8Array, header: { readonly packetNumber: number; readonly epoch?: number }): Buffer {
    const session = this.#session
    if (session === undefined) throw new Error('there is no session to seal for')
    const { packetNumber, epoch = session.epoch } = header
    const datagram = Buffer.alloc(HEADER_BYTES + plain.length + TAG_BYTES)
    writeHeader(datagram, { sessionId: session.id, epoch, packetNumber })
    const head = datagram.subarray(0, HEADER_BYTES)
    this.#crypto.seal(session.key, packetNumber, head, plain, datagram.subarray(HEADER_BYTES))
    return datagram
  }

  #nextNumber(random: Random): number {
    if (random.chance(0.0005)) return PACKET_MAX
    if (random.chance(0.03)) return random.int(0, this.#packetNumber)
    this.#packetNumber += random.chance(0.05) ? random.pick([2, 40, 5_000]) : 1
    return this.#packetNumber
  }
}
