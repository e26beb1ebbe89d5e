import { describe, expect, test } from 'vitest'
import { type ChannelLimits, DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/endpoint.ts'
import { checkLimits } from '../../protocol/channel/limits.ts'
import { counter, isUp, lostOf, messagesOf, Net, type Node, numbered, pair, randomOf } from './channel/net.ts'

const { replica, client } = DEFAULT_CHANNEL_LIMITS

describe('[channel] rekeying', () => {
  test('[channel] by count, under traffic that is reordered and lossy: nothing is lost', () => {
    const { net, a, b } = pair({ limits: { rekeyPackets: 16, rekeyGraceMs: 50 } })
    const random = randomOf(11)
    net.fault = (bytes) => (random() < 0.05 ? [] : [{ bytes, latencyMs: 1 + random() * 10 }])
    for (let n = 0; n < 600; n++) {
      net.send(a, b, numbered(n, 600))
      net.send(b, a, numbered(n, 600))
      net.run(1)
    }
    net.fault = undefined
    net.run(1000)
    expect(messagesOf(a).length).toBe(600)
    expect(messagesOf(b).length).toBe(600)
    expect(counter(a, 'rekeys')).toBeGreaterThan(10)
    expect(lostOf(a) + lostOf(b)).toBe(0)
  })

  test('[channel] by time; and far beyond 256 epochs, where the header byte wraps', () => {
    const { net, a, b } = pair({ limits: { rekeyMs: 20, rekeyGraceMs: 10 } })
    for (let n = 0; n < 600; n++) {
      net.send(a, b, numbered(n))
      net.run(25)
    }
    expect(counter(a, 'rekeys')).toBeGreaterThan(300)
    expect(messagesOf(b).length).toBe(600)
  })

  test('[channel] a packet of the previous epoch is taken within the grace period, not after it', () => {
    for (const [delayMs, arrives] of [
      [30, true],
      [300, false],
    ] as const) {
      const { net, a, b } = pair({
        limits: { rekeyPackets: 8, rekeyGraceMs: 100, ptoMsMin: 1000, ptoMsMax: 1000 },
      })
      let held: Uint8Array | undefined
      net.fault = (bytes, { from }) => {
        if (held !== undefined || from !== a.address) return [{ bytes, latencyMs: 1 }]
        held = bytes
        return []
      }
      net.send(a, b, numbered(0))
      net.run(1)
      const before = counter(b, 'oldEpoch')
      for (let n = 1; n < 14; n++) {
        net.send(a, b, numbered(n))
        net.run(2)
      }
      expect(counter(a, 'rekeys')).toBe(1)
      net.run(delayMs - 26)
      if (held !== undefined) net.inject(b.address, a.address, held)
      net.run(1)
      expect(counter(b, 'oldEpoch') - before).toBe(arrives ? 0 : 1)
    }
  })
})

describe('[channel] bounds', () => {
  test('[channel] a peer that is down costs bounded memory, and its losses are reported', () => {
    const limits: Partial<ChannelLimits> = {
      messageBytesMax: 100_000,
      replica: { ...replica, sendBytesPerPeerMax: 200_000 },
    }
    const { net, a, b } = pair({ limits })
    net.remove(b)
    let accepted = 0
    let most = 0
    for (let t = 0; t < 40_000; t += 5) {
      if (a.endpoint.send(b.id, numbered(t, 900), net.nowMs) === 'queued') accepted += 1
      net.run(5)
      most = Math.max(most, a.endpoint.bufferedBytes())
    }
    expect(isUp(a, b)).toBe(false)
    expect(a.events.some((e) => e.type === 'session-down' && e.reason === 'timeout')).toBe(true)
    expect(most).toBeLessThanOrEqual(200_000 + 300_000)
    expect(counter(a, 'sendFull') + counter(a, 'waitingFull')).toBeGreaterThan(1000)
    net.run(15_000)
    expect(lostOf(a)).toBe(accepted)
    expect(a.endpoint.bufferedBytes()).toBe(0)
  })

  test('[channel] a peer that hears but never acknowledges is given up, and its losses are reported', () => {
    const { net, a, b } = pair()
    // b speaks (keep-alives), nothing of a's arrives there.
    net.fault = (bytes, { from }) => (from === a.address ? [] : [{ bytes, latencyMs: 1 }])
    for (let n = 0; n < 100; n++) net.send(a, b, numbered(n))
    net.run(9000)
    for (let i = 0; i < 20; i++) {
      net.send(b, a, numbered(i))
      net.run(500)
    }
    expect(lostOf(a)).toBe(100)
  })

  test('[channel] without a session only a few messages wait', () => {
    const net = new Net()
    const a = net.add(0, { limits: { waitingMessagesMax: 10 } })
    const b = net.add(1)
    const results = Array.from({ length: 12 }, (_, n) => net.send(a, b, numbered(n)))
    expect(results.filter((r) => r === 'queued').length).toBe(10)
    net.run(20_000)
    expect(lostOf(a)).toBe(10)
    expect(a.endpoint.bufferedBytes()).toBe(0)
    expect(a.endpoint.nextTimeoutMs()).toBe(undefined)
  })

  test('[channel] large messages never need more reassembly room than the peer has', () => {
    const limits: Partial<ChannelLimits> = {
      messageBytesMax: 100_000,
      replica: { ...replica, reassemblyBytesPerPeerMax: 150_000 },
    }
    const { net, a, b } = pair({ limits })
    const random = randomOf(2)
    net.fault = (bytes) => (random() < 0.1 ? [] : [{ bytes, latencyMs: 1 + random() * 5 }])
    for (let n = 0; n < 20; n++) expect(net.send(a, b, numbered(n, 90_000))).toBe('queued')
    net.run(5000)
    expect(messagesOf(b).length).toBe(20)
    expect(counter(b, 'reassemblyFull')).toBe(0)
  })

  test('[channel] events beyond the bound are not acknowledged, so they come again after poll()', () => {
    const { net, a, b } = pair({
      limits: { messageBytesMax: 5000, replica: { ...replica, eventBytesMax: 5000 } },
    })
    for (let n = 0; n < 200; n++) net.send(a, b, numbered(n, 500))
    for (let i = 0; i < 1000; i++) {
      net.run(1)
      expect(b.endpoint.bufferedBytes()).toBeLessThan(7000)
    }
    net.run(2000)
    expect(counter(b, 'eventsFull')).toBeGreaterThan(0)
    expect(messagesOf(b).length).toBe(200)
  })

  test('[channel] a configuration that contradicts itself is refused', () => {
    expect(() => checkLimits({ ...DEFAULT_CHANNEL_LIMITS, payloadBytes: 100 })).toThrow(RangeError)
    expect(() => checkLimits({ ...DEFAULT_CHANNEL_LIMITS, messageBytesMax: 1 << 28 })).toThrow(RangeError)
    expect(() => checkLimits(DEFAULT_CHANNEL_LIMITS)).not.toThrow()
  })
})

describe('[channel] fairness', () => {
  const cluster = (limits: Partial<ChannelLimits> = {}): { net: Net; server: Node; others: Node[] } => {
    const net = new Net()
    const server = net.add(0, { limits })
    const others = [1, 2, 3, 1000, 1001].map((id) => net.add(id, { limits }))
    for (const other of others) net.connect(other, server)
    net.run(50)
    return { net, server, others }
  }

  test('[channel] peers are served round-robin within one poll', () => {
    const { net, server, others } = cluster()
    for (const other of others.slice(0, 3)) server.endpoint.send(other.id, Buffer.alloc(50_000), net.nowMs)
    const order = server.endpoint.poll(net.nowMs).datagrams.map((d) => d.to)
    expect(order.length).toBeGreaterThan(100)
    for (let i = 0; i + 3 <= 90; i += 3) expect(new Set(order.slice(i, i + 3)).size).toBe(3)
  })

  test('[channel] replicas go before clients, and clients have a share of each poll', () => {
    const { net, server, others } = cluster({ client: { ...client, pollBytesMax: 20_000 } })
    for (const other of others) server.endpoint.send(other.id, Buffer.alloc(100_000), net.nowMs)
    const { datagrams } = server.endpoint.poll(net.nowMs)
    const clientAddresses = new Set(['host:1000', 'host:1001'])
    const firstClient = datagrams.findIndex((d) => clientAddresses.has(d.to))
    const clientBytes = datagrams.slice(firstClient).reduce((sum, d) => sum + d.bytes.length, 0)
    expect(datagrams.slice(firstClient).every((d) => clientAddresses.has(d.to))).toBe(true)
    expect(clientBytes).toBeLessThan(25_000)
    expect(server.endpoint.nextTimeoutMs()).toBe(net.nowMs)
    net.run(500)
    expect(messagesOf(others[4] ?? server).length).toBe(1)
  })

  test('[channel] a flooding client cannot starve replica traffic', () => {
    const { net, server, others } = cluster({
      messageBytesMax: 20_000,
      client: {
        ...client,
        receiveBytesPerSecondMax: 100_000,
        receiveBurstBytes: 50_000,
        eventBytesMax: 30_000,
      },
    })
    const [replica1, , , flooder] = others
    if (replica1 === undefined || flooder === undefined) throw new Error('no such node')
    let fromClient = 0
    for (let n = 0; n < 500; n++) {
      for (let i = 0; i < 50; i++) net.send(flooder, server, numbered(i, 1000))
      net.send(replica1, server, numbered(n))
      net.run(2)
      const got = server.events.splice(0)
      fromClient += got.filter((e) => e.type === 'message' && e.from === flooder.id).length
      if (n > 5) expect(got.some((e) => e.type === 'message' && e.from === replica1.id)).toBe(true)
    }
    expect(fromClient).toBeLessThan(200)
    expect(counter(server, 'peerRateLimited')).toBeGreaterThan(0)
  })

  test('[channel] full client buffers leave the replicas theirs', () => {
    const { net, server, others } = cluster({
      messageBytesMax: 20_000,
      client: { ...client, sendBytesTotalMax: 50_000, sendBytesPerPeerMax: 50_000 },
    })
    const [replica1, , , client1, client2] = others
    if (replica1 === undefined || client1 === undefined || client2 === undefined)
      throw new Error('no such node')
    net.fault = (_, { to }) => (to.startsWith('host:10') ? [] : [{ bytes: _, latencyMs: 1 }])
    while (net.send(server, client1, Buffer.alloc(20_000)) === 'queued') net.run(1)
    expect(net.send(server, client2, Buffer.alloc(20_000))).toBe('dropped')
    expect(net.send(server, replica1, numbered(1))).toBe('queued')
    net.run(5)
    expect(messagesOf(replica1).length).toBe(1)
  })

  test('[channel] a handshake flood from many addresses does not keep a configured replica out', () => {
    const net = new Net()
    net.record = true
    const server = net.add(0)
    const known = net.add(1)
    net.connect(server, known)
    net.connect(known, server)
    const hello = (): Uint8Array | undefined =>
      net.wire.find((p) => p.bytes[0] === 1 && p.from === known.address)?.bytes
    net.run(20)
    const bytes = hello()
    if (bytes === undefined) throw new Error('no HELLO was seen')
    net.remove(known)
    const again = net.add(1)
    net.connect(again, server)
    const startMs = net.nowMs
    let up = false
    for (let t = 0; t < 300 && !up; t++) {
      for (let i = 0; i < 100; i++) net.inject(server.address, `flood:${t}:${i}`, bytes)
      net.run(1)
      up = isUp(again, server)
    }
    expect(up).toBe(true)
    expect(net.nowMs - startMs).toBeLessThan(300)
  })
})
