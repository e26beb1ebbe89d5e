import sodium from 'sodium-native'
import { describe, expect, test } from 'vitest'
import { sodiumChannelCrypto } from '../../protocol/channel-crypto.ts'
import type { Digest } from '../../protocol/types.ts'
import {
  cheapCrypto,
  counter,
  isUp,
  lostOf,
  messagesOf,
  Net,
  numbered,
  pair,
  publicKeyOf,
} from './channel/net.ts'

const HELLO = 1
const ups = (events: readonly { type: string }[]): number =>
  events.filter((e) => e.type === 'session-up').length

describe('[channel] handshake', () => {
  test('[channel] one side connects: both are up within three round trips', () => {
    const net = new Net()
    const a = net.add(0)
    const b = net.add(1)
    net.connect(b, a)
    net.run(6)
    expect(isUp(a, b) && isUp(b, a)).toBe(true)
  })

  test('[channel] a stranger is refused', () => {
    const net = new Net()
    const a = net.add(0, { admits: (id) => id !== 1 })
    const b = net.add(1)
    net.connect(b, a)
    net.run(1000)
    expect(isUp(a, b) || isUp(b, a)).toBe(false)
    expect(counter(a, 'stranger')).toBeGreaterThan(0)
    expect(counter(a, 'datagramsSent')).toBe(0)
  })

  test('[channel] another genesis, another cluster: refused and counted', () => {
    const net = new Net()
    const a = net.add(0)
    const b = net.add(1, { genesisDigest: 'cd'.repeat(32) as Digest })
    const c = net.add(2, { clusterId: Buffer.alloc(16, 9) })
    for (const other of [b, c]) net.connect(other, a)
    net.run(1000)
    expect(counter(a, 'wrongGenesis')).toBeGreaterThan(0)
    expect(counter(a, 'wrongCluster')).toBeGreaterThan(0)
    expect(isUp(b, a) || isUp(c, a)).toBe(false)
  })

  test('[channel] an initiator with another key than genesis says is refused at its signature', () => {
    const net = new Net()
    const a = net.add(0)
    const liar = net.add(1, { publicKey: publicKeyOf(9) })
    net.connect(liar, a)
    net.run(1000)
    expect(isUp(a, liar)).toBe(false)
    expect(ups(a.events)).toBe(0)
    expect(counter(a, 'badSignature')).toBeGreaterThan(0)
  })

  test('[channel] a responder with another key than genesis says is refused at its signature', () => {
    const net = new Net()
    const a = net.add(0)
    const liar = net.add(1, { publicKey: publicKeyOf(9) })
    net.connect(a, liar)
    net.run(1000)
    expect(isUp(a, liar)).toBe(false)
    expect(counter(a, 'badSignature')).toBeGreaterThan(0)
  })

  test('[channel] a replayed handshake resets nothing', () => {
    const net = new Net()
    net.record = true
    const a = net.add(0)
    const b = net.add(1)
    net.connect(b, a)
    net.run(20)
    const handshake = net.wire.filter((packet) => packet.to === a.address)
    for (let round = 0; round < 20; round++) {
      for (const { bytes, from } of handshake) net.inject(a.address, from, bytes)
      net.run(10)
    }
    expect(a.events.filter((e) => e.type !== 'message').length).toBe(1)
    net.send(b, a, numbered(1))
    net.send(a, b, numbered(2))
    net.run(10)
    expect(messagesOf(a).length).toBe(1)
    expect(messagesOf(b).length).toBe(1)
    expect(a.endpoint.halfOpenCount()).toBeLessThanOrEqual(2)
    net.run(3000)
    expect(a.endpoint.halfOpenCount()).toBe(0)
  })

  test('[channel] an address that has not proved itself is sent no more than it sent', () => {
    const net = new Net()
    net.record = true
    const a = net.add(0)
    const b = net.add(1)
    net.connect(b, a)
    net.run(20)
    const hello = net.wire.find((packet) => packet.bytes[0] === HELLO)
    const sealed = net.wire.find((packet) => packet.bytes[0] === 5)
    if (hello === undefined || sealed === undefined) throw new Error('no handshake was seen')
    net.wire.length = 0
    let sentBytes = 0
    const strange = Buffer.from(sealed.bytes)
    strange.writeUInt32BE(12345, 1)
    for (let i = 0; i < 500; i++) {
      for (const bytes of [hello.bytes, strange]) {
        net.inject(a.address, 'victim:1', bytes)
        sentBytes += bytes.length
      }
      net.run(1)
    }
    const answers = net.wire.filter((packet) => packet.to === 'victim:1')
    expect(answers.length).toBeGreaterThan(0)
    expect(answers.reduce((sum, packet) => sum + packet.bytes.length, 0)).toBeLessThan(sentBytes / 4)
    expect(counter(a, 'rateLimited')).toBeGreaterThan(0)
    expect(a.endpoint.halfOpenCount()).toBe(0)
  })

  test('[channel] a cookie serves one address and one HELLO only', () => {
    const net = new Net()
    net.record = true
    const a = net.add(0)
    const b = net.add(1)
    net.connect(b, a)
    net.run(20)
    const hellos = net.wire.filter((packet) => packet.bytes[0] === HELLO)
    const withCookie = hellos[1]
    if (withCookie === undefined) throw new Error('no HELLO with a cookie was seen')
    net.inject(a.address, 'elsewhere:1', withCookie.bytes)
    const other = Buffer.from(withCookie.bytes)
    other[80] = (other[80] ?? 0) ^ 1 // the ephemeral key
    net.inject(a.address, b.address, other)
    net.run(1)
    expect(counter(a, 'badCookie')).toBe(2)
    expect(a.endpoint.halfOpenCount()).toBe(0)
  })

  test.each([0, 0.3, 1, 7])(
    '[channel] simultaneous open, %f ms apart, gives one working session',
    (apartMs) => {
      const net = new Net()
      const a = net.add(0)
      const b = net.add(1)
      net.connect(b, a)
      net.run(apartMs)
      net.connect(a, b)
      for (let n = 0; n < 20; n++) {
        net.send(a, b, numbered(n))
        net.send(b, a, numbered(n))
        net.run(2)
      }
      net.run(300)
      expect(messagesOf(a).length + lostOf(b)).toBe(20)
      expect(messagesOf(b).length + lostOf(a)).toBe(20)
      expect(isUp(a, b) && isUp(b, a)).toBe(true)
      net.send(a, b, numbered(50))
      net.send(b, a, numbered(50))
      net.run(20)
      expect(messagesOf(a).length + lostOf(b)).toBe(21)
      expect(ups(a.events)).toBeLessThanOrEqual(2)
    },
  )

  test('[channel] on simultaneous open the lower id initiates', () => {
    const net = new Net()
    const a = net.add(0)
    const b = net.add(1)
    net.connect(a, b)
    net.connect(b, a)
    net.record = true
    net.run(50)
    expect(ups(a.events)).toBe(1)
    expect(ups(b.events)).toBe(1)
    const finish = net.wire.filter((packet) => packet.bytes[0] === 4)
    expect(finish.map((packet) => packet.from)).toEqual([a.address])
  })

  test.each(['lower', 'higher'] as const)(
    '[channel] the %s id restarts: both directions work again at once',
    (who) => {
      const { net, a, b } = pair()
      const [dead, alive] = who === 'lower' ? [a, b] : [b, a]
      for (let n = 0; n < 10; n++) net.send(alive, dead, numbered(n))
      net.run(5)
      net.remove(dead)
      const traffic = (forMs: number): void => {
        for (let t = 0; t < forMs; t += 5) {
          net.send(alive, dead, numbered(100 + t))
          net.run(5)
        }
      }
      traffic(2000)
      const restarted = net.add(dead.id)
      net.connect(restarted, alive)
      const startedMs = net.nowMs
      const up = net.runUntil(() => {
        return isUp(restarted, alive) && ups(alive.events) === 2
      }, startedMs + 400)
      expect(up).toBe(true)
      expect(net.nowMs - startedMs).toBeLessThan(300)
      net.send(alive, restarted, numbered(7777))
      net.send(restarted, alive, numbered(8888))
      net.run(20)
      const last = (m: Uint8Array): number => Buffer.from(m).readUInt32BE(0)
      expect(messagesOf(restarted).map(last)).toContain(7777)
      expect(messagesOf(alive).map(last)).toContain(8888)
    },
  )

  test.each(['lower', 'higher'] as const)(
    '[channel] the %s id restarts and does not connect: the other one does',
    (who) => {
      const { net, a, b } = pair()
      const [dead, alive] = who === 'lower' ? [a, b] : [b, a]
      net.remove(dead)
      const restarted = net.add(dead.id)
      net.send(alive, restarted, numbered(1))
      const up = net.runUntil(() => isUp(restarted, alive) && ups(alive.events) === 2, net.nowMs + 400)
      expect(up).toBe(true)
      net.send(restarted, alive, numbered(2))
      net.run(10)
      expect(messagesOf(alive).length).toBe(1)
    },
  )

  test('[channel] a client that moves to another address is answered there', () => {
    const net = new Net()
    const replica = net.add(0)
    const client = net.add(1000, { address: 'laptop:1' })
    net.connect(client, replica)
    net.run(20)
    net.remove(client)
    const moved = net.add(1000, { address: 'laptop:2' })
    net.connect(moved, replica)
    net.run(20)
    expect(replica.endpoint.peerState(client.id).address).toBe('laptop:2')
    net.send(replica, moved, numbered(1))
    net.run(5)
    expect(messagesOf(moved).length).toBe(1)
  })

  test('[channel] half-open handshakes are bounded, and expire', () => {
    const net = new Net()
    const a = net.add(0, { limits: { halfOpenMax: 8 } })
    const others = Array.from({ length: 40 }, (_, i) => net.add(1000 + i))
    // Nobody ever finishes.
    net.fault = (bytes) => (bytes[0] === 4 ? [] : [{ bytes, latencyMs: 1 }])
    for (const other of others) net.connect(other, a)
    for (let i = 0; i < 100; i++) {
      net.run(10)
      expect(a.endpoint.halfOpenCount()).toBeLessThanOrEqual(8)
    }
    expect(counter(a, 'halfOpenFull')).toBeGreaterThan(0)
    net.fault = undefined
    net.run(8000)
    expect(others.every((other) => isUp(other, a))).toBe(true)
  })

  test('[channel] with libsodium: handshake, messages, refusal of a low-order point', () => {
    const net = new Net()
    const keys = new Map([0, 1].map((id) => [id, keyPairOf(id)]))
    const publicKeys = (id: number): Uint8Array => keys.get(id)?.publicKey ?? Buffer.alloc(32)
    const cryptoOf = (id: number) =>
      sodiumChannelCrypto({ secretKey: keys.get(id)?.secretKey ?? Buffer.alloc(64) })
    const a = net.add(0, { publicKeys, crypto: cryptoOf(0) })
    const b = net.add(1, { publicKeys, crypto: cryptoOf(1) })
    net.connect(a, b)
    net.connect(b, a)
    const big = Buffer.alloc(300_000, 3)
    net.send(a, b, big)
    net.send(b, a, numbered(4))
    net.run(100)
    expect(messagesOf(b).length).toBe(1)
    expect(big.equals(messagesOf(b)[0] ?? Buffer.alloc(0))).toBe(true)
    expect(messagesOf(a)).toEqual([numbered(4)])
    expect(cryptoOf(0).sharedSecret(Buffer.alloc(32, 1), Buffer.alloc(32))).toBe(null)
    expect(cryptoOf(0).open(Buffer.alloc(32), 1, Buffer.alloc(3), Buffer.alloc(20), Buffer.alloc(4))).toBe(
      false,
    )
    expect(cryptoOf(0).verify(Buffer.alloc(31), Buffer.alloc(3), Buffer.alloc(64))).toBe(false)
  })

  test('[channel] a low-order ephemeral is refused', () => {
    const net = new Net()
    const a = net.add(0)
    const weak = cheapCrypto(publicKeyOf(1), 3)
    const b = net.add(1, {
      crypto: { ...weak, keyPair: () => ({ publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(32) }) },
    })
    net.connect(b, a)
    net.run(200)
    expect(isUp(a, b)).toBe(false)
    expect(counter(a, 'badKey')).toBeGreaterThan(0)
  })
})

function keyPairOf(id: number): { publicKey: Buffer; secretKey: Buffer } {
  const pair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) }
  sodium.crypto_sign_seed_keypair(pair.publicKey, pair.secretKey, Buffer.alloc(32, id + 1))
  return pair
}
