import { expect, test } from 'vitest'
import { DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/limits.ts'
import { FRAME_PING } from '../../protocol/channel/wire.ts'
import { messagesOf, Net, numbered } from '../unit/channel/net.ts'
import { HostilePeer } from './channel/hostile-peer.ts'

/** What campaigns found, smallest form; what the decoder took is in test/unit/protocol/codec.test.ts [AU5]. */

test('[channel] a peer that skips 2^32 packet numbers and more does not stop the endpoint', () => {
  const net = new Net()
  const victim = net.add(0)
  const correct = net.add(1)
  const hostile = new HostilePeer(net, 2, { seed: 3, limits: DEFAULT_CHANNEL_LIMITS })
  net.connect(hostile.node, victim)
  net.connect(correct, victim)
  net.run(100)
  for (const packetNumber of [100, 101, 2 ** 33, 2 ** 33 + 1, 2 ** 47, 2 ** 48 - 1]) {
    const packet = hostile.sealed(Buffer.of(FRAME_PING), { packetNumber })
    victim.endpoint.receive(packet, hostile.node.address, net.nowMs)
    net.run(20)
  }
  net.send(correct, victim, numbered(7))
  net.run(100)
  expect(messagesOf(victim).map((message) => Buffer.from(message).readUInt32BE(0))).toEqual([7])
})
