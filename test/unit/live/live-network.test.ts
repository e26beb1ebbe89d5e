import { afterEach, expect, test } from 'vitest'
import { type Link, LiveNetwork, type Place } from '../../../chaos/live/live-network.ts'
import { formatAddress, openUdp, type Udp } from '../../../protocol/udp.ts'

const HOST = '127.0.0.1'
const REPLICAS = 3

type Received = { readonly text: string; readonly from: string }

/** A socket that remembers what it got. */
class Party {
  readonly received: Received[] = []
  readonly #waiting: { readonly text: string; readonly resolve: (got: Received) => void }[] = []
  #udp: Udp | undefined

  static async open(): Promise<Party> {
    const party = new Party()
    party.#udp = await openUdp({ host: HOST, port: 0, onDatagram: (bytes, from) => party.#on(bytes, from) })
    return party
  }

  get place(): Place {
    const [host = '', port = ''] = (this.#udp?.address ?? '').split(':')
    return { host, port: Number(port) }
  }

  send(text: string, to: Place): void {
    this.#udp?.send(formatAddress(to.host, to.port), Buffer.from(text))
  }

  got(text: string): Promise<Received> {
    const known = this.received.find((received) => received.text === text)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve) => this.#waiting.push({ text, resolve }))
  }

  #on(bytes: Uint8Array, from: string): void {
    const received = { text: Buffer.from(bytes).toString(), from }
    this.received.push(received)
    for (const { text, resolve } of this.#waiting) if (text === received.text) resolve(received)
  }

  async close(): Promise<void> {
    await this.#udp?.close()
  }
}

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close()
})

async function cluster() {
  const parties = await Promise.all(Array.from({ length: REPLICAS }, () => Party.open()))
  const network = await LiveNetwork.open({ replicas: parties.map(({ place }) => place), seed: 1 })
  opened.push(...parties.map((party) => ({ close: () => party.close() })), {
    close: () => network.close(),
  })
  const [a, b, c] = parties
  if (a === undefined || b === undefined || c === undefined) throw new Error('there are three')
  const route = (from: number, to: number): Place => {
    const place = network.routesOf(from)[to]
    if (place === undefined) throw new Error('no such route')
    return place
  }
  const send = (text: string, { from, to }: { from: number; to: number }) =>
    parties[from]?.send(text, route(from, to))
  return { network, parties, a, b, c, route, send }
}

const addressOf = ({ host, port }: Place): string => formatAddress(host, port)

test('a replica is reached, and seen, at the address that the other one has for it', async () => {
  const { b, a, route, send } = await cluster()
  send('there', { from: 0, to: 1 })
  const got = await b.got('there')
  expect(got.from).toBe(addressOf(route(1, 0)))
  send('back', { from: 1, to: 0 })
  expect((await a.got('back')).from).toBe(addressOf(route(0, 1)))
})

test('itself it finds where it listens', async () => {
  const { network, parties } = await cluster()
  expect(network.routesOf(2)[2]).toEqual(parties[2]?.place)
})

test('a cut of one direction leaves the other, and the other links', async () => {
  const { network, a, b, c, send } = await cluster()
  const heal = network.add([{ from: 0, to: 1 }], { cut: true })
  send('lost', { from: 0, to: 1 })
  send('to c', { from: 0, to: 2 })
  send('back', { from: 1, to: 0 })
  await c.got('to c')
  await a.got('back')
  expect(network.counters({ from: 0, to: 1 })).toMatchObject({ cut: 1, passed: 0 })
  heal()
  send('again', { from: 0, to: 1 })
  await b.got('again')
  expect(b.received.map(({ text }) => text)).toEqual(['again'])
})

test('each client comes from an address of its own, at which the answer reaches it', async () => {
  const { network, b } = await cluster()
  const clients = await Promise.all([Party.open(), Party.open()])
  opened.push(...clients.map((client) => ({ close: () => client.close() })))
  const gate = network.routesOfClients()[1]
  if (gate === undefined) throw new Error('every replica has a gate')
  const seen: string[] = []
  for (const [index, client] of clients.entries()) {
    seen.push(await untilHeard(() => client.send(`hello ${index}`, gate), b.got(`hello ${index}`)))
  }
  expect(new Set(seen).size).toBe(2)
  for (const [index, client] of clients.entries()) {
    const [host = '', port = ''] = (seen[index] ?? '').split(':')
    b.send(`answer ${index}`, { host, port: Number(port) })
    expect((await client.got(`answer ${index}`)).from).toBe(addressOf(gate))
  }
  network.add([{ from: 1, to: 'clients' }], { cut: true })
  const [host = '', port = ''] = (seen[0] ?? '').split(':')
  b.send('lost', { host, port: Number(port) })
  clients[1]?.send('still', gate)
  await b.got('still')
  expect(clients[0]?.received.map(({ text }) => text)).toEqual(['answer 0'])
})

/** The first datagrams of an address come while its socket is being opened, and are lost, as a network may. */
async function untilHeard(send: () => void, heard: Promise<Received>): Promise<string> {
  send()
  const again = setInterval(send, 10)
  const { from } = await heard
  clearInterval(again)
  return from
}

test('healed, no rule is left', async () => {
  const { network, b, send } = await cluster()
  network.add([{ from: 0, to: 1 }], { loss: 1 })
  network.heal()
  send('through', { from: 0, to: 1 })
  await b.got('through')
})

test('delays are real', async () => {
  const { network, b, send } = await cluster()
  network.add([{ from: 0, to: 1 }], { delayMs: 20, duplicate: 1 })
  send('late', { from: 0, to: 1 })
  await b.got('late')
  expect(network.counters()).toMatchObject({ delayed: 2, duplicated: 1 })
})

test.each<[Link, RegExp]>([
  [{ from: 0, to: 0 }, /no link from 0 to 0/],
  [{ from: 0, to: 3 }, /no link from 0 to 3/],
  [{ from: 'clients', to: 'clients' }, /no link from clients to clients/],
])('there is no link %j', async (link, message) => {
  const { network } = await cluster()
  expect(() => network.add([{ from: 0, to: 1 }, link], { cut: true })).toThrow(message)
  expect(() => network.add([{ from: 0, to: 1 }], { loss: 2 })).toThrow(/loss/)
})

test('without proxies there are no links, and everybody is where it listens', async () => {
  const network = LiveNetwork.none([{ host: HOST, port: 1 }])
  expect(network.routesOf(0)).toEqual([{ host: HOST, port: 1 }])
  expect(network.routesOfClients()).toEqual([])
  expect(() => network.add([{ from: 0, to: 1 }], { cut: true })).toThrow(/no link/)
  await network.close()
})
