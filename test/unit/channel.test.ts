import { describe, expect, test } from 'vitest'
import { counter, isUp, lostOf, messagesOf, Net, numbered, pair } from './channel/net.ts'

describe('[channel] messages', () => {
  test('[channel] a message arrives intact, in both directions', () => {
    const { net, a, b } = pair()
    net.send(a, b, numbered(1))
    net.send(b, a, numbered(2))
    net.run(5)
    expect(messagesOf(b)).toEqual([numbered(1)])
    expect(messagesOf(a)).toEqual([numbered(2)])
    net.run(20)
    expect(a.endpoint.peerState(b.id).queuedBytes).toBe(0)
    expect(a.endpoint.bufferedBytes()).toBe(0)
  })

  test('[channel] what was sent before the session waits for it', () => {
    const net = new Net()
    const a = net.add(0)
    const b = net.add(1)
    expect(net.send(a, b, numbered(1))).toBe('queued')
    net.connect(a, b)
    net.run(20)
    expect(messagesOf(b)).toEqual([numbered(1)])
  })

  test('[channel] several messages share a datagram', () => {
    const { net, a, b } = pair()
    const before = counter(a, 'datagramsSent')
    for (let i = 0; i < 10; i++) net.send(a, b, numbered(i))
    a.endpoint.nextTimeoutMs()
    net.run(2)
    expect(messagesOf(b).length).toBe(10)
    expect(counter(a, 'datagramsSent') - before).toBeLessThanOrEqual(2)
  })

  test.each([1200, 8000, 60_000])('[channel] 1 MB arrives intact at payload %i', (payloadBytes) => {
    const { net, a, b } = pair({ limits: { payloadBytes } })
    const message = Buffer.alloc(1 << 20)
    for (let i = 0; i < message.length; i++) message[i] = (i * 31 + (i >> 8)) & 0xff
    net.send(a, b, message)
    expect(net.runUntil(() => messagesOf(b).length === 1, net.nowMs + 2000)).toBe(true)
    expect(message.equals(messagesOf(b)[0] ?? Buffer.alloc(0))).toBe(true)
    expect(net.largestDatagramBytes).toBeLessThanOrEqual(payloadBytes)
    net.run(50)
    expect(a.endpoint.bufferedBytes()).toBe(0)
    expect(b.endpoint.bufferedBytes()).toBe(0)
  })

  test('[channel] every length around the limits of a frame arrives', () => {
    const { net, a, b } = pair()
    const lengths = [0, 1, 2, 1090, ...Array.from({ length: 30 }, (_, i) => 1085 + i), 2182, 2183, 2184, 4000]
    for (const length of lengths) expect(net.send(a, b, Buffer.alloc(length, length & 0xff))).toBe('queued')
    net.run(100)
    expect(
      messagesOf(b)
        .map((m) => m.length)
        .sort((x, y) => x - y),
    ).toEqual(lengths.slice().sort((x, y) => x - y))
  })

  test('[channel] a small message does not wait behind a large one', () => {
    const { net, a, b } = pair({ limits: { windowBytesInitial: 32_768 } })
    net.send(a, b, Buffer.alloc(2 << 20))
    net.send(a, b, numbered(7))
    net.run(4)
    expect(messagesOf(b)).toEqual([numbered(7)])
  })

  test('[channel] a message above messageBytesMax is dropped at the sender', () => {
    const { net, a, b } = pair({ limits: { messageBytesMax: 5000 } })
    expect(net.send(a, b, Buffer.alloc(5001))).toBe('dropped')
    expect(counter(a, 'sendTooLong')).toBe(1)
    expect(net.send(a, b, Buffer.alloc(5000))).toBe('queued')
  })

  test('[channel] an idle pair stays up, and says little', () => {
    const { net, a, b } = pair()
    net.run(60_000)
    expect(isUp(a, b) && isUp(b, a)).toBe(true)
    expect(counter(a, 'datagramsSent')).toBeLessThan(200)
    expect(lostOf(a)).toBe(0)
  })

  test('[channel] payload 1200 against 8000: both use the smaller', () => {
    const net = new Net()
    const a = net.add(0, { limits: { payloadBytes: 1200 } })
    const b = net.add(1, { limits: { payloadBytes: 8000 } })
    net.connect(b, a)
    net.send(b, a, Buffer.alloc(50_000))
    net.run(100)
    expect(messagesOf(a)[0]?.length).toBe(50_000)
    expect(net.largestDatagramBytes).toBeLessThanOrEqual(1200)
  })

  test('[channel] disconnect tells the peer, and reports what was not delivered', () => {
    const { net, a, b } = pair()
    net.fault = () => []
    net.send(a, b, numbered(1))
    net.run(1)
    net.fault = undefined
    b.endpoint.disconnect(a.id, net.nowMs)
    a.endpoint.disconnect(b.id, net.nowMs)
    net.run(1)
    expect(a.events.filter((e) => e.type === 'session-down').length).toBe(1)
    expect(lostOf(a)).toBe(1)
    expect(a.endpoint.bufferedBytes()).toBe(0)
  })
})
