import type { ChannelCrypto } from './channel/crypto.ts'
import { type ChannelEvent, Endpoint, type EndpointConfig } from './channel/endpoint.ts'
import { type Clock, type StopTimer, systemClock } from './clock.ts'
import type { PrincipalId } from './types.ts'
import { openUdp } from './udp.ts'

/** Timers of Node count whole milliseconds. */
const TIMER_SLACK_MS = 1

export type RunningEndpoint = {
  /** Where it listens, `ip:port`. */
  readonly address: string
  /** Queued for the end of this turn, when all that goes to a peer shares datagrams. */
  send(peer: PrincipalId, message: Uint8Array): void
  connect(peer: PrincipalId, address: string): void
  isUp(peer: PrincipalId): boolean
  counters(): Record<string, number>
  close(): Promise<void>
}

/**
 * Drives a channel endpoint over a UDP socket: what arrives within one turn of the event loop is handed on together,
 * and what is sent meanwhile leaves in one go.
 */
export async function startEndpoint(args: {
  readonly host: string
  readonly port: number
  readonly config: EndpointConfig
  readonly crypto: ChannelCrypto
  readonly onEvents: (events: readonly ChannelEvent[]) => void
  readonly clock?: Clock
}): Promise<RunningEndpoint> {
  const { clock = systemClock } = args
  const endpoint = new Endpoint(args.config, args.crypto)
  let timer: StopTimer | undefined
  let timerAtMs = Number.POSITIVE_INFINITY
  let scheduled = false
  /** Something was taken in since the last poll. */
  let added = false
  let open = true
  const connected = new Set<PrincipalId>()
  const nowMs = () => clock.nowMs()

  const udp = await openUdp({
    host: args.host,
    port: args.port,
    onDatagram(bytes, from) {
      endpoint.receive(bytes, from, nowMs())
      schedule()
    },
  })

  function schedule(): void {
    added = true
    if (scheduled || !open) return
    scheduled = true
    setImmediate(flush)
  }

  /**
   * Hands on what arrived, and sends until nothing is left: answers leave with the acknowledgements of what they answer.
   * [FS1] Messages beyond the bounds wait for the next turn, so that the socket is read in between.
   */
  function flush(): void {
    scheduled = true
    let atMs = Number.POSITIVE_INFINITY
    try {
      let hands: 'messages' | 'nothing' = 'messages'
      for (let busy = true; busy && open; ) {
        added = false
        const { datagrams, events } = endpoint.poll(nowMs(), hands)
        hands = 'nothing'
        for (const { to, bytes } of datagrams) udp.send(to, bytes)
        if (events.length > 0) args.onEvents(events)
        atMs = nextTimeoutMs()
        busy = added || (datagrams.length > 0 && atMs <= nowMs())
      }
    } finally {
      scheduled = false
    }
    if (endpoint.hasArrived) schedule()
    else arm(atMs)
  }

  const nextTimeoutMs = (): number => endpoint.nextTimeoutMs() ?? Number.POSITIVE_INFINITY

  /** A timer that comes too early is left to: most deadlines move on with each datagram, and few of them pass. */
  function arm(atMs: number): void {
    if (!open) return timer?.()
    if (timer !== undefined && timerAtMs <= atMs + TIMER_SLACK_MS) return
    timer?.()
    timer = undefined
    timerAtMs = atMs
    if (atMs === Number.POSITIVE_INFINITY) return
    timer = clock.setTimer(onTimer, Math.max(0, Math.ceil(atMs - nowMs())))
  }

  function onTimer(): void {
    timer = undefined
    const atMs = nextTimeoutMs()
    if (atMs <= nowMs()) flush()
    else arm(atMs)
  }

  return {
    address: udp.address,
    send(peer, message) {
      endpoint.send(peer, message, nowMs())
      schedule()
    },
    connect(peer, address) {
      connected.add(peer)
      endpoint.connect(peer, address, nowMs())
      schedule()
    },
    isUp: (peer) => endpoint.peerState(peer).up,
    counters: () => endpoint.counters(),
    async close() {
      // A peer that is told forgets the session at once, instead of at its idle time-out.
      for (const peer of connected) endpoint.disconnect(peer, nowMs())
      for (const { to, bytes } of endpoint.poll(nowMs()).datagrams) udp.send(to, bytes)
      open = false
      timer?.()
      await udp.close()
    },
  }
}
