import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  counter,
  type Fault,
  isUp,
  lostOf,
  messagesOf,
  Net,
  type Node,
  numbered,
  pair,
  randomOf,
} from './channel/net.ts'

type Faults = {
  seed: number
  loss: number
  duplicate: number
  truncate: number
  flip: number
  jitterMs: number
  payloadBytes: number
}

const faults: fc.Arbitrary<Faults> = fc.record({
  seed: fc.integer({ min: 1, max: 1 << 30 }),
  loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
  duplicate: fc.double({ min: 0, max: 0.5, noNaN: true }),
  truncate: fc.double({ min: 0, max: 0.2, noNaN: true }),
  flip: fc.double({ min: 0, max: 0.2, noNaN: true }),
  jitterMs: fc.integer({ min: 0, max: 40 }),
  payloadBytes: fc.constantFrom(512, 1200, 8000),
})

function faultOf(f: Faults): Fault {
  const random = randomOf(f.seed)
  return (datagram) => {
    const copies = []
    const times = random() < f.duplicate ? 2 : 1
    for (let i = 0; i < times; i++) {
      if (random() < f.loss) continue
      let bytes: Uint8Array = datagram
      if (random() < f.truncate) bytes = bytes.subarray(0, Math.floor(random() * bytes.length))
      if (random() < f.flip && bytes.length > 0) {
        bytes = Uint8Array.from(bytes)
        const at = Math.floor(random() * bytes.length)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))
      }
      copies.push({ bytes, latencyMs: 1 + random() * f.jitterMs })
    }
    return copies
  }
}

/** At most once, intact, and delivered + lost covers all that was accepted. */
function checkDelivery(sender: Node, receiver: Node, accepted: Map<number, Buffer>): void {
  const seen = new Set<number>()
  for (const message of messagesOf(receiver)) {
    const number = Buffer.from(message).readUInt32BE(0)
    expect(seen.has(number)).toBe(false)
    seen.add(number)
    expect(accepted.get(number)?.equals(message)).toBe(true)
  }
  expect(seen.size + lostOf(sender)).toBeGreaterThanOrEqual(accepted.size)
}

describe('[channel] faults', () => {
  test('[channel] whatever the network does, a message arrives once and intact, or is reported lost', () => {
    fc.assert(
      fc.property(faults, (f) => {
        const net = new Net(f.seed)
        const limits = { payloadBytes: f.payloadBytes }
        const a = net.add(0, { limits })
        const b = net.add(1, { limits })
        net.fault = faultOf(f)
        net.connect(a, b)
        net.connect(b, a)
        const random = randomOf(f.seed + 1)
        const accepted = { a: new Map<number, Buffer>(), b: new Map<number, Buffer>() }
        for (let n = 0; n < 120; n++) {
          const [from, to, log] =
            random() < 0.5 ? ([a, b, accepted.a] as const) : ([b, a, accepted.b] as const)
          const message = numbered(
            n,
            random() < 0.1 ? Math.floor(random() * 30_000) : Math.floor(random() * 300),
          )
          if (net.send(from, to, message) === 'queued') log.set(n, message)
          if (random() < 0.3) net.run(random() * 30)
          expect(a.endpoint.bufferedBytes()).toBeLessThan(8 << 20)
        }
        net.run(300)
        checkAtMostOnceSoFar(b)
        // Liveness: the faults stop; what is sent from here on arrives, and all before is settled.
        net.fault = undefined
        net.run(12_000)
        expect(isUp(a, b) && isUp(b, a)).toBe(true)
        checkDelivery(a, b, accepted.a)
        checkDelivery(b, a, accepted.b)
        const before = messagesOf(b).length
        const lost = lostOf(a)
        for (let n = 1000; n < 1050; n++) expect(net.send(a, b, numbered(n))).toBe('queued')
        net.run(200)
        expect(messagesOf(b).length - before).toBe(50)
        expect(lostOf(a)).toBe(lost)
        net.run(500)
        expect(a.endpoint.bufferedBytes()).toBe(0)
        expect(b.endpoint.bufferedBytes()).toBe(0)
      }),
      { numRuns: 40 },
    )
  })

  test('[channel] two runs with the same inputs give the same bytes', () => {
    const run = (): string => {
      const net = new Net(5)
      net.record = true
      const a = net.add(0)
      const b = net.add(1)
      net.fault = faultOf({
        seed: 9,
        loss: 0.2,
        duplicate: 0.2,
        truncate: 0.1,
        flip: 0.1,
        jitterMs: 10,
        payloadBytes: 0,
      })
      net.connect(a, b)
      net.connect(b, a)
      for (let n = 0; n < 50; n++) {
        net.send(a, b, numbered(n, n * 40))
        net.run(3)
      }
      return net.wire
        .map(({ from, to, bytes }) => `${from}>${to}:${Buffer.from(bytes).toString('base64')}`)
        .join('\n')
    }
    const [first, second] = [run(), run()]
    expect(first === second).toBe(true)
  })

  test('[channel] garbage never throws and changes nothing', () => {
    const { net, a, b } = pair()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1300 }), fc.integer({ min: 0, max: 8 }), (bytes, type) => {
        if (bytes.length > 0) bytes[0] = type
        a.endpoint.receive(bytes, 'host:1', net.nowMs)
        a.endpoint.receive(bytes, 'host:66', net.nowMs)
      }),
      { numRuns: 3000 },
    )
    net.send(a, b, numbered(1))
    net.send(b, a, numbered(2))
    net.run(10)
    expect(messagesOf(a).length + messagesOf(b).length).toBe(2)
    expect(lostOf(a) + lostOf(b)).toBe(0)
  })

  test('[channel] mutated real datagrams never throw and change nothing', () => {
    const net = new Net(3)
    net.record = true
    const a = net.add(0)
    const b = net.add(1)
    net.connect(a, b)
    for (let n = 0; n < 20; n++) net.send(a, b, numbered(n, n * 200))
    net.run(50)
    const random = randomOf(77)
    for (let i = 0; i < 5000; i++) {
      const source = net.wire[Math.floor(random() * net.wire.length)]
      if (source === undefined) continue
      const bytes = Uint8Array.from(source.bytes)
      const at = Math.floor(random() * bytes.length)
      bytes[at] = Math.floor(random() * 256)
      const target = source.to === a.address ? a : b
      target.endpoint.receive(random() < 0.3 ? bytes.subarray(0, at) : bytes, source.from, net.nowMs)
    }
    net.run(10)
    expect(messagesOf(b).length).toBe(20)
    net.send(a, b, numbered(99))
    net.run(20)
    expect(messagesOf(b).length).toBe(21)
  })

  test('[channel] a replayed sealed packet is counted and dropped', () => {
    const { net, a, b } = pair()
    net.record = true
    net.send(a, b, numbered(1))
    net.run(20)
    const sealed = net.wire.filter((packet) => packet.to === b.address)
    expect(sealed.length).toBeGreaterThan(0)
    for (const { bytes } of sealed) b.endpoint.receive(bytes, 'elsewhere:9', net.nowMs)
    net.run(20)
    expect(counter(b, 'replayed')).toBe(sealed.length)
    expect(messagesOf(b).length).toBe(1)
  })

  test('[channel] cheapest check first: forged packets do not move the replay window', () => {
    const { net, a, b } = pair()
    net.record = true
    net.send(a, b, numbered(1))
    net.run(20)
    const real = net.wire.find((packet) => packet.to === b.address)
    const forged = Buffer.from(real?.bytes ?? [])
    forged.writeUIntBE(2 ** 40, 6, 6)
    for (let i = 0; i < 100; i++) b.endpoint.receive(forged, a.address, net.nowMs)
    expect(counter(b, 'badMac')).toBe(100)
    net.send(a, b, numbered(2))
    net.run(10)
    expect(messagesOf(b).length).toBe(2)
  })

  test('[channel] a tail that is lost is sent again without waiting for more traffic', () => {
    const { net, a, b } = pair()
    net.fault = () => []
    net.send(a, b, numbered(1))
    net.run(1)
    net.fault = undefined
    expect(net.runUntil(() => messagesOf(b).length === 1, net.nowMs + 300)).toBe(true)
  })

  test('[channel] a round trip above the largest back-off does not end in retransmission for ever', () => {
    const net = new Net()
    net.latencyMs = 400
    const a = net.add(0)
    const b = net.add(1)
    net.connect(a, b)
    net.connect(b, a)
    net.run(8000)
    expect(isUp(a, b) && isUp(b, a)).toBe(true)
    const before = counter(a, 'datagramsSent')
    for (let n = 0; n < 20; n++) net.send(a, b, numbered(n))
    net.run(4000)
    expect(messagesOf(b).length).toBe(20)
    expect(counter(a, 'datagramsSent') - before).toBeLessThan(30)
  })

  test('[channel] a bulk transfer under 5% loss uses most of what it sends', () => {
    const { net, a, b } = pair()
    const random = randomOf(4)
    net.fault = (bytes) => (random() < 0.05 ? [] : [{ bytes, latencyMs: 1 }])
    const sentBefore = counter(a, 'bytesSent')
    net.send(a, b, Buffer.alloc(2 << 20))
    expect(net.runUntil(() => messagesOf(b).length === 1, net.nowMs + 2000)).toBe(true)
    expect(counter(a, 'bytesSent') - sentBefore).toBeLessThan(1.25 * (2 << 20))
  })
})

function checkAtMostOnceSoFar(receiver: Node): void {
  const numbers = messagesOf(receiver).map((message) => Buffer.from(message).readUInt32BE(0))
  expect(new Set(numbers).size).toBe(numbers.length)
}
