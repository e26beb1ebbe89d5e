import { expect, test } from 'vitest'
import { FaultyLink } from '../../../chaos/live/faulty-link.ts'
import type { LinkRule } from '../../../chaos/live/link-rule.ts'
import { Random } from '../../../chaos/sim/random.ts'
import { FakeDelays } from './fake-delays.ts'

const DATAGRAMS = 2_000

function linkOf(seed = 7) {
  const delays = new FakeDelays()
  const link = new FaultyLink(new Random(seed), delays)
  const arrived: Uint8Array[] = []
  const send = (bytes: Uint8Array) => link.pass(bytes, (passed) => arrived.push(passed))
  const numbers = () => arrived.map((bytes) => Buffer.from(bytes).readUInt32BE())
  return { delays, link, arrived, send, numbers }
}

const datagram = (n: number, length = 8): Buffer => {
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32BE(n)
  return bytes
}

/** So many numbered datagrams under a rule, and everything that waits. */
function run(rule: LinkRule, seed = 7) {
  const parts = linkOf(seed)
  parts.link.add(rule)
  for (let n = 0; n < DATAGRAMS; n++) parts.send(datagram(n))
  parts.delays.runAll()
  return parts
}

test('without a rule what comes passes at once, the same bytes', () => {
  const { link, arrived, send } = linkOf()
  const bytes = datagram(1)
  send(bytes)
  expect(arrived[0]).toBe(bytes)
  expect(link.counters).toMatchObject({ passed: 1, lost: 0 })
})

test('loss: so many never arrive, the rest in order', () => {
  const { link, numbers } = run({ loss: 0.25 })
  const { lost, passed } = link.counters
  expect(lost + passed).toBe(DATAGRAMS)
  expect(lost / DATAGRAMS).toBeCloseTo(0.25, 1)
  expect(numbers()).toEqual(numbers().toSorted((a, b) => a - b))
})

test('the same seed loses the same, another one others', () => {
  const [first, same, other] = [run({ loss: 0.5 }, 1), run({ loss: 0.5 }, 1), run({ loss: 0.5 }, 2)]
  expect(first.numbers()).toEqual(same.numbers())
  expect(first.numbers()).not.toEqual(other.numbers())
})

test('cut: nothing arrives', () => {
  const { link, arrived } = run({ cut: true })
  expect(arrived).toHaveLength(0)
  expect(link.counters).toMatchObject({ cut: DATAGRAMS, passed: 0 })
})

test('delay: not before its time, and in order', () => {
  const { delays, link, send, arrived } = linkOf()
  link.add({ delayMs: 40 })
  send(datagram(1))
  delays.advance(39)
  expect(arrived).toHaveLength(0)
  delays.advance(1)
  expect(arrived).toHaveLength(1)
  expect(run({ delayMs: 40 }).numbers()).toEqual(Array.from({ length: DATAGRAMS }, (_, n) => n))
})

test('jitter: between delay less and delay more of it', () => {
  const { delays, link, send, arrived } = linkOf()
  link.add({ delayMs: 40, jitterMs: 10 })
  for (let n = 0; n < DATAGRAMS; n++) send(datagram(n))
  delays.advance(29)
  expect(arrived).toHaveLength(0)
  delays.advance(11)
  expect(arrived.length / DATAGRAMS).toBeCloseTo(0.5, 1)
  delays.advance(10)
  expect(arrived).toHaveLength(DATAGRAMS)
})

test('duplicate: so many come twice, none more often', () => {
  const { link, numbers } = run({ duplicate: 0.1 })
  expect(link.counters.duplicated / DATAGRAMS).toBeCloseTo(0.1, 1)
  expect(numbers()).toHaveLength(DATAGRAMS + link.counters.duplicated)
  expect(new Set(numbers()).size).toBe(DATAGRAMS)
})

test('reorder: those that are held back are overtaken, and all arrive', () => {
  const { link, numbers } = run({ reorder: 0.1, reorderMs: 5 })
  expect(link.counters.reordered / DATAGRAMS).toBeCloseTo(0.1, 1)
  expect(numbers()).not.toEqual(numbers().toSorted((a, b) => a - b))
  expect(new Set(numbers()).size).toBe(DATAGRAMS)
})

test('corrupt: so many arrive as something else, of the same length; what was sent is left as it was', () => {
  const { link, arrived, send } = linkOf()
  link.add({ corrupt: 1 })
  const sent = Array.from({ length: 200 }, (_, n) => datagram(n, 40))
  for (const bytes of sent) send(bytes)
  expect(link.counters.corrupted).toBe(200)
  for (const [n, bytes] of arrived.entries()) {
    expect(bytes).toHaveLength(40)
    expect(Buffer.from(bytes)).not.toEqual(datagram(n, 40))
    expect(sent[n]).toEqual(datagram(n, 40))
  }
  send(Buffer.alloc(0))
  expect(arrived.at(-1)).toHaveLength(0)
})

test('replay: old ones come again, after others', () => {
  const { link, numbers } = run({ replay: 0.1 })
  expect(link.counters.replayed / DATAGRAMS).toBeCloseTo(0.1, 1)
  expect(numbers()).toHaveLength(DATAGRAMS + link.counters.replayed)
  expect(new Set(numbers()).size).toBe(DATAGRAMS)
})

test('a rate limit lets so many bytes pass in a second, and loses what its queue does not hold', () => {
  const { delays, link, send, arrived } = linkOf()
  link.add({ bytesPerSecond: 1_000 })
  for (let n = 0; n < 30; n++) send(datagram(n, 100))
  delays.advance(500)
  expect(arrived).toHaveLength(5)
  delays.advance(5_000)
  expect(arrived.length).toBeLessThan(30)
  expect(link.counters).toMatchObject({ passed: arrived.length, overflowed: 30 - arrived.length })
})

test('what waits is bounded in bytes', () => {
  const { delays, link, send, arrived } = linkOf()
  link.add({ delayMs: 1_000 })
  for (let n = 0; n < 100; n++) send(datagram(n, 60_000))
  expect(link.counters.overflowed).toBeGreaterThan(0)
  delays.runAll()
  expect(arrived.length * 60_000).toBeLessThanOrEqual(4 * 1024 * 1024)
  send(datagram(0, 60_000))
  delays.runAll()
  expect(arrived).toHaveLength(101 - link.counters.overflowed)
})

test('rules add up, and each ends by itself', () => {
  const { link, arrived, send } = linkOf()
  const endCut = link.add({ cut: true })
  const endLoss = link.add({ loss: 1 })
  endCut()
  endCut()
  send(datagram(1))
  expect(link.counters).toMatchObject({ cut: 0, lost: 1 })
  endLoss()
  send(datagram(2))
  expect(arrived).toHaveLength(1)
})

test('two rules that are alike are two', () => {
  const { link, arrived, send } = linkOf()
  const rule = { cut: true }
  const endFirst = link.add(rule)
  link.add(rule)
  endFirst()
  send(datagram(1))
  expect(arrived).toHaveLength(0)
})

test('healed, nothing is in force, and what ended before ends nothing', () => {
  const { link, arrived, send } = linkOf()
  const end = link.add({ cut: true })
  link.heal()
  end()
  send(datagram(1))
  expect(arrived).toHaveLength(1)
})
