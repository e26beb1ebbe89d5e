/**
 * What an endpoint did and refused, by reason. Plain fields so that counting costs one increment; nothing here is
 * ever keyed by remote bytes, so a liar cannot grow it.
 */
export class Counters {
  datagramsSent = 0
  datagramsReceived = 0
  bytesSent = 0
  bytesReceived = 0
  messagesSent = 0
  messagesReceived = 0
  messagesLost = 0
  retransmittedChunks = 0
  lostPackets = 0
  probes = 0
  handshakesStarted = 0
  sessionsUp = 0
  sessionsDown = 0
  rekeys = 0

  // Dropped before AEAD.
  malformed = 0
  tooLong = 0
  unknownSession = 0
  oldEpoch = 0
  replayed = 0
  badMac = 0
  // Handshake refusals.
  wrongVersion = 0
  wrongCluster = 0
  wrongGenesis = 0
  misaddressed = 0
  stranger = 0
  badCookie = 0
  badSignature = 0
  badKey = 0
  incompatible = 0
  simultaneousOpen = 0
  halfOpenFull = 0
  rateLimited = 0
  goneReceived = 0
  // After AEAD: the sender is known.
  duplicate = 0
  protocolViolation = 0
  peerRateLimited = 0
  reassemblyFull = 0
  eventsFull = 0
  peerEventsFull = 0
  // Local refusals of send().
  sendTooLong = 0
  sendStranger = 0
  sendFull = 0
  waitingFull = 0

  snapshot(): Record<string, number> {
    return Object.fromEntries(Object.entries(this))
  }
}

/** Bytes in use against a bound. */
export class ByteBudget {
  used = 0
  private readonly max: number

  constructor(max: number) {
    this.max = max
  }

  fits(bytes: number): boolean {
    return this.used + bytes <= this.max
  }

  take(bytes: number): void {
    this.used += bytes
  }

  give(bytes: number): void {
    this.used -= bytes
  }
}
