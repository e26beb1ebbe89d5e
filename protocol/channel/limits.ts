/** What one class of peers (replicas, clients) may use. Separate, so that clients cannot spend the replicas' share. */
export type ClassLimits = {
  /** Bytes accepted by send() and not yet acknowledged, per peer and over all peers of the class. */
  readonly sendBytesPerPeerMax: number
  readonly sendBytesTotalMax: number
  /** Bytes of partly received messages, per peer (also told to the peer) and over all peers of the class. */
  readonly reassemblyBytesPerPeerMax: number
  readonly reassemblyBytesTotalMax: number
  /** Bytes of received messages that wait for poll(), per peer and over the class. One message may always wait alone. */
  readonly eventBytesPerPeerMax: number
  readonly eventBytesMax: number
  /** Messages that one poll() hands on, over the class; the rest follows in the next poll. */
  readonly pollMessagesMax: number
  /** Bytes of datagrams built by one poll(), over the class; the rest follows in the next poll. */
  readonly pollBytesMax: number
  /** Token bucket on authenticated bytes of one peer; what exceeds it is not acknowledged, hence sent again later. */
  readonly receiveBytesPerSecondMax: number
  readonly receiveBurstBytes: number
  /** Signature work per second for handshakes from addresses nobody configured. */
  readonly handshakesPerSecondMax: number
  readonly handshakesBurst: number
}

/** Every bound of the channel, unit last. */
export type ChannelLimits = {
  /** Largest UDP payload sent or taken; two peers use the smaller of theirs. 512 .. 60,000. */
  readonly payloadBytes: number
  /** Largest message that send() takes. */
  readonly messageBytesMax: number
  readonly replica: ClassLimits
  readonly client: ClassLimits

  /** Messages without a session: small, and not for long. */
  readonly waitingBytesMax: number
  readonly waitingMessagesMax: number
  readonly waitingMs: number

  /** HELLO and FINISH are repeated with this back-off. */
  readonly helloRetryMsMin: number
  readonly helloRetryMsMax: number
  /** After this an attempt starts again with a fresh ephemeral key. */
  readonly attemptMs: number
  /** An accepted HELLO whose FINISH does not arrive: the peer has died since; start again. */
  readonly finishMs: number
  /** So long the lower id ignores the higher one's HELLO in favour of its own; then it takes what works. */
  readonly simultaneousOpenMs: number
  readonly halfOpenMax: number
  readonly halfOpenPerAddressMax: number
  readonly halfOpenMs: number
  readonly cookieRotationMs: number
  /** Per source address, before any signature work; and with a valid cookie. */
  readonly helloPerSecondMax: number
  readonly helloBurst: number
  readonly cookiedHelloPerSecondMax: number
  readonly cookiedHelloBurst: number
  /** Handshake datagrams waiting for the next poll(). */
  readonly handshakeDatagramsMax: number

  /** An endpoint that called connect() asks for a sign of life after this silence. */
  readonly keepAliveMs: number
  /** Silence, or no acknowledgement of what is in flight, that ends a session. */
  readonly idleTimeoutMs: number
  /** Consecutive probe time-outs after which a new handshake is tried beside the stalled session. */
  readonly stallProbes: number

  readonly ackDelayMs: number
  /** Acknowledge at once after so many packets. */
  readonly ackPackets: number

  /** A first estimate of the round trip is taken from the handshake, but not below this. */
  readonly rttHintMsMin: number
  readonly ptoMsMin: number
  readonly ptoMsMax: number
  readonly windowBytesInitial: number
  readonly windowBytesMin: number
  readonly windowBytesMax: number
  readonly pacingBurstBytes: number

  readonly rekeyPackets: number
  readonly rekeyMs: number
  /** The previous epoch's key opens late packets for so long. */
  readonly rekeyGraceMs: number
}

const MIB = 1 << 20

export const DEFAULT_CHANNEL_LIMITS: ChannelLimits = {
  payloadBytes: 1200,
  messageBytesMax: 4 * MIB,
  replica: {
    sendBytesPerPeerMax: 16 * MIB,
    sendBytesTotalMax: 256 * MIB,
    reassemblyBytesPerPeerMax: 8 * MIB,
    reassemblyBytesTotalMax: 128 * MIB,
    eventBytesPerPeerMax: 16 * MIB,
    eventBytesMax: 64 * MIB,
    pollMessagesMax: 1_024,
    pollBytesMax: 16 * MIB,
    receiveBytesPerSecondMax: 1024 * MIB,
    receiveBurstBytes: 64 * MIB,
    handshakesPerSecondMax: 100,
    handshakesBurst: 64,
  },
  client: {
    sendBytesPerPeerMax: 4 * MIB,
    sendBytesTotalMax: 64 * MIB,
    reassemblyBytesPerPeerMax: 4 * MIB,
    reassemblyBytesTotalMax: 32 * MIB,
    eventBytesPerPeerMax: 256 * 1024,
    eventBytesMax: 16 * MIB,
    pollMessagesMax: 32,
    pollBytesMax: 2 * MIB,
    receiveBytesPerSecondMax: 32 * MIB,
    receiveBurstBytes: 4 * MIB,
    handshakesPerSecondMax: 400,
    handshakesBurst: 512,
  },
  waitingBytesMax: 256 * 1024,
  waitingMessagesMax: 1024,
  waitingMs: 10_000,
  helloRetryMsMin: 25,
  helloRetryMsMax: 250,
  attemptMs: 2_000,
  finishMs: 300,
  simultaneousOpenMs: 150,
  halfOpenMax: 256,
  halfOpenPerAddressMax: 16,
  halfOpenMs: 2_000,
  cookieRotationMs: 30_000,
  helloPerSecondMax: 100,
  helloBurst: 64,
  cookiedHelloPerSecondMax: 20,
  cookiedHelloBurst: 16,
  handshakeDatagramsMax: 1024,
  keepAliveMs: 1_000,
  idleTimeoutMs: 10_000,
  stallProbes: 3,
  ackDelayMs: 8,
  ackPackets: 8,
  rttHintMsMin: 5,
  ptoMsMin: 20,
  ptoMsMax: 400,
  windowBytesInitial: 256 * 1024,
  windowBytesMin: 32 * 1024,
  windowBytesMax: 4 * MIB,
  pacingBurstBytes: 256 * 1024,
  rekeyPackets: 1 << 20,
  rekeyMs: 600_000,
  rekeyGraceMs: 3_000,
}

export const PAYLOAD_BYTES_MIN = 512
export const PAYLOAD_BYTES_MAX = 60_000

/** @throws RangeError naming the limit: our own configuration is wrong, nothing can be built on it. */
export function checkLimits(limits: ChannelLimits): void {
  if (limits.payloadBytes < PAYLOAD_BYTES_MIN || limits.payloadBytes > PAYLOAD_BYTES_MAX) {
    throw new RangeError(`payloadBytes must be ${PAYLOAD_BYTES_MIN} .. ${PAYLOAD_BYTES_MAX}`)
  }
  for (const [name, share] of [
    ['replica', limits.replica],
    ['client', limits.client],
  ] as const) {
    // A message that send() takes must fit the buffers it travels through, or it would be retried for ever.
    const room = Math.min(
      share.sendBytesPerPeerMax,
      share.sendBytesTotalMax,
      share.reassemblyBytesPerPeerMax,
      share.reassemblyBytesTotalMax,
      share.eventBytesMax,
    )
    if (room < limits.messageBytesMax) throw new RangeError(`${name}: a buffer is below messageBytesMax`)
    if (share.receiveBurstBytes < limits.payloadBytes) {
      throw new RangeError(`${name}: receiveBurstBytes is below payloadBytes`)
    }
  }
  if (limits.messageBytesMax > 0x3fffffff) throw new RangeError('messageBytesMax is above 1 GiB')
  if (limits.windowBytesMin < 2 * limits.payloadBytes && limits.windowBytesMax < 2 * limits.payloadBytes) {
    throw new RangeError('windowBytesMax is below two datagrams')
  }
}
