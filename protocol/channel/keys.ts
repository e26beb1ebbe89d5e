import type { ChannelCrypto } from './crypto.ts'

const REKEY_LABEL = Buffer.from('pbft-ledger/channel/rekey')

const nextKey = (crypto: ChannelCrypto, key: Uint8Array): Uint8Array => crypto.mac(key, REKEY_LABEL)

/** The sending direction's key. A one-way ratchet: a stolen key opens nothing of earlier epochs. */
export class SendKeys {
  key: Uint8Array
  epoch = 0
  /** First packet number sealed under this epoch. */
  private firstPacket = 0
  private sinceMs: number
  private readonly crypto: ChannelCrypto

  constructor(crypto: ChannelCrypto, key: Uint8Array, nowMs: number) {
    this.crypto = crypto
    this.key = key
    this.sinceMs = nowMs
  }

  /**
   * Moves to the next epoch when one of the bounds is reached, but only once the peer acknowledged a packet of this
   * epoch: it must never be two epochs behind, for it keeps only one ahead and one back.
   */
  rotateIfDue(
    now: { nextPacket: number; largestAcked: number; nowMs: number },
    bounds: { rekeyPackets: number; rekeyMs: number },
  ): boolean {
    const due =
      now.nextPacket - this.firstPacket >= bounds.rekeyPackets || now.nowMs - this.sinceMs >= bounds.rekeyMs
    if (!due || now.largestAcked < this.firstPacket) return false
    this.key = nextKey(this.crypto, this.key)
    this.epoch += 1
    this.firstPacket = now.nextPacket
    this.sinceMs = now.nowMs
    return true
  }
}

/** The receiving direction: the current epoch, the next (derived ahead) and, for a grace period, the previous one. */
export class ReceiveKeys {
  private epoch = 0
  private current: Uint8Array
  private next: Uint8Array
  private previous: Uint8Array | undefined
  private previousUntilMs = 0
  private readonly crypto: ChannelCrypto

  constructor(crypto: ChannelCrypto, key: Uint8Array) {
    this.crypto = crypto
    this.current = key
    this.next = nextKey(crypto, key)
  }

  /** The key for a header's epoch byte; undefined when it is too old or too new. */
  select(epochByte: number, nowMs: number): Uint8Array | undefined {
    const ahead = (epochByte - this.epoch) & 0xff
    if (ahead === 0) return this.current
    if (ahead === 1) return this.next
    if (ahead === 0xff && nowMs < this.previousUntilMs) return this.previous
    return undefined
  }

  /** A packet with this epoch byte was opened. Only that moves the epoch: the header's byte proves nothing before. */
  opened(epochByte: number, nowMs: number, graceMs: number): void {
    if (((epochByte - this.epoch) & 0xff) !== 1) return
    this.previous = this.current
    this.previousUntilMs = nowMs + graceMs
    this.current = this.next
    this.next = nextKey(this.crypto, this.current)
    this.epoch += 1
  }
}
