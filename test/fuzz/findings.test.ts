import { expect, test } from 'vitest'
import { DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/limits.ts'
import {
  ACK_FRAME_BYTES,
  FRAGMENT_BYTES_MIN,
  FRAGMENT_FRAME_BYTES,
  FRAME_ACK,
  FRAME_FRAGMENT,
  FRAME_MESSAGE,
  FRAME_PING,
  MESSAGE_FRAME_BYTES,
} from '../../protocol/channel/wire.ts'
import { counter, messagesOf, Net, numbered } from '../unit/channel/net.ts'
import { heldBy } from './channel/held.ts'
import { HostilePeer } from './channel/hostile-peer.ts'

/** What campaigns found, smallest form; what the decoder took is in test/unit/protocol/codec.test.ts [AU5]. */

/** An endpoint with a session to a correct peer and one to a hostile one. */
function withHostilePeer() {
  const net = new Net()
  const victim = net.add(0)
  const correct = net.add(1)
  const hostile = new HostilePeer(net, 2, { seed: 3, limits: DEFAULT_CHANNEL_LIMITS })
  net.connect(hostile.node, victim)
  net.connect(correct, victim)
  net.run(100)
  return { net, victim, correct, hostile }
}

test('[channel] a peer that skips 2^32 packet numbers and more does not stop the endpoint', () => {
  const { net, victim, correct, hostile } = withHostilePeer()
  for (const packetNumber of [100, 101, 2 ** 33, 2 ** 33 + 1, 2 ** 47, 2 ** 48 - 1]) {
    const packet = hostile.sealed(Buffer.of(FRAME_PING), { packetNumber })
    victim.endpoint.receive(packet, hostile.node.address, net.nowMs)
    net.run(20)
  }
  net.send(correct, victim, numbered(7))
  net.run(100)
  expect(messagesOf(victim).map((message) => Buffer.from(message).readUInt32BE(0))).toEqual([7])
})

test('[channel] a packet holds one acknowledgement, in front: each costs a walk over all that is under way', () => {
  const { net, victim, hostile } = withHostilePeer()
  const acknowledgement = Buffer.alloc(ACK_FRAME_BYTES)
  acknowledgement[0] = FRAME_ACK
  const say = (packetNumber: number, ...frames: readonly Buffer[]) => {
    const packet = hostile.sealed(Buffer.concat(frames), { packetNumber })
    victim.endpoint.receive(packet, hostile.node.address, net.nowMs)
    return counter(victim, 'protocolViolation')
  }
  expect(say(100, acknowledgement, Buffer.of(FRAME_PING))).toBe(0)
  expect(say(101, acknowledgement, acknowledgement)).toBe(1)
  expect(say(102, Buffer.of(FRAME_PING), acknowledgement)).toBe(2)
})

test('[channel] unfinished messages hold the bytes that they are charged for, and no buffers of others', () => {
  const { net, victim, hostile } = withHostilePeer()
  const before = heldBy(victim.endpoint).bytes
  for (let n = 0; n < 1_000; n++) {
    const packet = hostile.sealed(Buffer.concat([fragmentOf(2 * n), messageOf(2 * n + 1, 800)]), {
      packetNumber: 100 + n,
    })
    victim.endpoint.receive(packet, hostile.node.address, net.nowMs)
    if (n % 20 === 0) net.run(1)
    victim.events = []
  }
  const buffered = victim.endpoint.bufferedBytes()
  expect(buffered).toBeGreaterThanOrEqual(1_000 * SMALLEST_PARTIAL_BYTES)
  // Beside them, which fragments are here, and one pool that is in use.
  expect(heldBy(victim.endpoint).bytes - before).toBeLessThan(1.2 * buffered + 200_000)
})

const SMALLEST_PARTIAL_BYTES = FRAGMENT_BYTES_MIN + 1

function fragmentOf(id: number): Buffer {
  const frame = Buffer.alloc(FRAGMENT_FRAME_BYTES + FRAGMENT_BYTES_MIN)
  frame[0] = FRAME_FRAGMENT
  frame.writeUIntBE(id, 1, 6)
  frame.writeUInt32BE(SMALLEST_PARTIAL_BYTES, 7)
  frame.writeUInt16BE(FRAGMENT_BYTES_MIN, 11)
  return frame
}

function messageOf(id: number, length: number): Buffer {
  const frame = Buffer.alloc(MESSAGE_FRAME_BYTES + length)
  frame[0] = FRAME_MESSAGE
  frame.writeUIntBE(id, 1, 6)
  frame.writeUInt16BE(length, 7)
  return frame
}
