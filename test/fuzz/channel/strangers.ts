import type { Random } from '../../../chaos/sim/random.ts'
import {
  ACCEPT_BYTES,
  COOKIE,
  COOKIE_BYTES,
  COOKIE_DATAGRAM_BYTES,
  FINISH_BYTES,
  formatHello,
  GONE_BYTES,
  HELLO_BYTES,
  parseCookie,
  SEALED,
  WIRE_VERSION,
} from '../../../protocol/channel/wire.ts'
import { digestToBytes, principalId } from '../../../protocol/types.ts'
import { CLUSTER_ID, GENESIS } from '../../unit/channel/net.ts'
import { changedBytes } from '../mutations.ts'

export type Wired = { readonly from: string; readonly bytes: Uint8Array }

const KEPT_MAX = 256
const LENGTHS = [
  COOKIE_DATAGRAM_BYTES,
  ACCEPT_BYTES,
  FINISH_BYTES,
  GONE_BYTES,
  HELLO_BYTES,
  12,
  28,
  1_200,
  1_201,
]

/** Those without keys: they hear everything, own addresses, and send what they like from any. */
export class Strangers {
  readonly #random: Random
  readonly #heard: Wired[] = []
  readonly #cookies: { readonly at: string; readonly cookie: Buffer; readonly hello: Buffer }[] = []
  readonly #hellos = new Map<string, Buffer>()

  constructor(random: Random) {
    this.#random = random
  }

  /** A datagram on the wire, of anybody's. */
  hear(datagram: { readonly from: string; readonly to: string; readonly bytes: Uint8Array }): void {
    const { from, to } = datagram
    const bytes = Buffer.from(datagram.bytes)
    if (this.#heard.length < KEPT_MAX) this.#heard.push({ from, bytes })
    else this.#heard[this.#random.int(0, KEPT_MAX - 1)] = { from, bytes }
    const hello = this.#hellos.get(to)
    const cookie = bytes[0] === COOKIE ? parseCookie(bytes)?.cookie : undefined
    if (hello === undefined || cookie === undefined) return
    if (this.#cookies.length >= KEPT_MAX) this.#cookies.shift()
    this.#cookies.push({ at: to, cookie, hello })
  }

  datagram(): Wired {
    const random = this.#random
    const dice = random.float()
    if (dice < 0.25) return { from: this.#anAddress(), bytes: this.#garbage() }
    if (dice < 0.65 && this.#heard.length > 0) return this.#again()
    if (dice < 0.85 || this.#cookies.length === 0) return this.#hello()
    return this.#cookied()
  }

  #anAddress(): string {
    const { bytes: _, from } =
      this.#heard.length > 0 ? this.#random.pick(this.#heard) : { bytes: '', from: 'evil:0' }
    return this.#random.chance(0.3) ? from : `evil:${this.#random.int(0, 40)}`
  }

  /** Of a type and length that exist. */
  #garbage(): Buffer {
    const bytes = this.#random.bytes(
      this.#random.chance(0.8) ? this.#random.pick(LENGTHS) : this.#random.int(0, 300),
    )
    if (bytes.length > 0) bytes[0] = this.#random.int(0, SEALED + 2)
    return bytes
  }

  #again(): Wired {
    const { from, bytes } = this.#random.pick(this.#heard)
    const other = this.#random.pick(this.#heard).bytes
    const said = this.#random.chance(0.4) ? bytes : changedBytes(bytes, this.#random, other)
    return { from: this.#random.chance(0.5) ? from : this.#anAddress(), bytes: said }
  }

  #hello(): Wired {
    const random = this.#random
    const from = `evil:${random.int(0, 40)}`
    const hello = formatHello({
      version: random.chance(0.98) ? WIRE_VERSION : random.int(0, 255),
      clusterId: CLUSTER_ID,
      genesisDigest: random.chance(0.98) ? digestToBytes(GENESIS) : random.bytes(32),
      initiator: principalId(random.pick([1, 2, 3, 999, 1_000, 1_001, 2 ** 32, 2 ** 48 - 1])),
      responder: principalId(random.chance(0.98) ? 0 : 1),
      sessionId: random.int(0, 2 ** 32 - 1),
      payloadBytes: random.pick([1_200, 512, 511, 0, 65_535]),
      reassemblyBytes: random.pick([2 ** 20, 0, 2 ** 32 - 1]),
      ephemeral: random.chance(0.95) ? random.bytes(32) : Buffer.alloc(32),
      cookie: random.chance(0.9) ? Buffer.alloc(COOKIE_BYTES) : random.bytes(COOKIE_BYTES),
    })
    this.#hellos.set(from, hello)
    return { from, bytes: hello }
  }

  /** With a cookie that its address was given: the victim does work for it. */
  #cookied(): Wired {
    const { at, cookie, hello } = this.#random.pick(this.#cookies)
    const bytes = Buffer.from(hello)
    cookie.copy(bytes, 104)
    return { from: at, bytes }
  }
}
