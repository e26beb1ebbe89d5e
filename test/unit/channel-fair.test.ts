import { describe, expect, test } from 'vitest'
import { DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/endpoint.ts'
import { CLIENT_ID_MIN } from '../../protocol/types.ts'
import { counter, isUp, lostOf, messagesOf, Net, type Node, numbered } from './channel/net.ts'

const { client } = DEFAULT_CHANNEL_LIMITS

/** A replica that others have sessions with, among them so many clients. */
function audience(options: { readonly clients: number; readonly client?: Partial<typeof client> }) {
  const net = new Net()
  const limits = { client: { ...client, pollMessagesMax: 4, ...options.client } }
  const hub = net.add(0, { limits })
  const others = [1, ...Array.from({ length: options.clients }, (_, i) => CLIENT_ID_MIN + i)].map((id) =>
    net.add(id, { limits }),
  )
  for (const other of others) net.connect(other, hub)
  if (!net.runUntil(() => others.every((other) => isUp(other, hub)), net.nowMs + 1_000)) {
    throw new Error('no sessions')
  }
  const [replica, ...clients] = others
  if (replica === undefined) throw new Error('one is a replica')
  return { net, hub, replica, clients }
}

/** What `nodes` have to send reaches the hub, which is not polled meanwhile. */
function deliver(net: Net, hub: Node, nodes: readonly Node[]): void {
  for (const node of nodes) {
    for (const { bytes } of node.endpoint.poll(net.nowMs).datagrams) {
      hub.endpoint.receive(bytes, node.address, net.nowMs)
    }
  }
}

const sendersOf = (hub: Node, nowMs: number): number[] =>
  hub.endpoint.poll(nowMs).events.flatMap((event) => (event.type === 'message' ? [event.from] : []))

describe('[channel] fair shares', () => {
  test('[FS1] replicas first, then clients in turn, so many in a poll; the rest in the next', () => {
    const { net, hub, replica, clients } = audience({ clients: 3 })
    const [flooder, second, third] = clients as [Node, Node, Node]
    for (let n = 0; n < 6; n++) net.send(flooder, hub, numbered(n))
    for (const node of [second, third, replica]) net.send(node, hub, numbered(0))
    deliver(net, hub, [flooder, second, third, replica])
    expect(sendersOf(hub, net.nowMs)).toEqual([replica.id, flooder.id, second.id, third.id, flooder.id])
    expect(hub.endpoint.nextTimeoutMs()).toBe(net.nowMs)
    // Who comes meanwhile waits for one message of the flooder's, not for all.
    net.send(second, hub, numbered(1))
    deliver(net, hub, [second])
    expect(sendersOf(hub, net.nowMs)).toEqual([flooder.id, second.id, flooder.id, flooder.id])
    expect(sendersOf(hub, net.nowMs)).toEqual([flooder.id])
    expect(hub.endpoint.hasArrived).toBe(false)
  })

  test('[FS1] a poll that only sends leaves what arrived where it is', () => {
    const { net, hub, clients } = audience({ clients: 1 })
    const [one] = clients as [Node]
    net.send(one, hub, numbered(0))
    deliver(net, hub, [one])
    expect(hub.endpoint.poll(net.nowMs, 'nothing').events).toEqual([])
    expect(sendersOf(hub, net.nowMs)).toEqual([one.id])
  })

  test('[FS1] what waits of one client is bounded, counted and sent again; another has its own room', () => {
    const bounds = { eventBytesPerPeerMax: 2_000 }
    const { net, hub, clients } = audience({ clients: 2, client: bounds })
    const [flooder, other] = clients as [Node, Node]
    for (let n = 0; n < 40; n++) net.send(flooder, hub, numbered(n, 1_000))
    net.send(other, hub, numbered(7, 1_000))
    deliver(net, hub, [flooder, other])
    expect(counter(hub, 'peerEventsFull')).toBeGreaterThan(0)
    expect(hub.endpoint.bufferedBytes()).toBeLessThan(5_000)
    expect(sendersOf(hub, net.nowMs)).toContain(other.id)
    net.run(5_000)
    // The first polls of this test took some of them.
    expect(messagesOf(hub).length).toBeGreaterThanOrEqual(36)
    expect(lostOf(flooder)).toBe(0)
    expect(hub.endpoint.bufferedBytes()).toBe(0)
  })
})
