import { formatAddress, openUdp, type Udp } from '../../protocol/udp.ts'
import { Random } from '../sim/random.ts'
import { ClientGate } from './client-gate.ts'
import { DelayLine } from './delay-line.ts'
import { FaultyLink, LINK_COUNTERS, type LinkCounters, noCounts } from './faulty-link.ts'
import type { LinkRule } from './link-rule.ts'

/** A replica's id, or all clients together. */
export type Endpoint = number | 'clients'
export type Link = { readonly from: Endpoint; readonly to: Endpoint }
export type Place = { readonly host: string; readonly port: number }

/**
 * Every datagram between replicas, and between clients and replicas, passes here, in user space. For each ordered pair
 * of replicas there is one socket, where the first reaches the second: what arrives there leaves from the socket where the
 * second reaches the first, so that each sees the other at the address that its own cluster file names.
 */
export class LiveNetwork {
  readonly #replicas: readonly Place[]
  readonly #seed: number
  readonly #delays = new DelayLine()
  readonly #links = new Map<string, FaultyLink>()
  /** By `linkName`: where `from` reaches `to`. */
  readonly #sockets = new Map<string, Udp>()
  readonly #gates: ClientGate[] = []

  private constructor(replicas: readonly Place[], seed: number) {
    this.#replicas = replicas
    this.#seed = seed
  }

  /** @param args.replicas where they listen, in order of their ids; all on one host. @throws UdpError */
  static async open(args: {
    readonly replicas: readonly Place[]
    readonly seed: number
  }): Promise<LiveNetwork> {
    const network = new LiveNetwork(args.replicas, args.seed)
    try {
      await network.#open()
      return network
    } catch (error) {
      await network.close()
      throw error
    }
  }

  async #open(): Promise<void> {
    const ids = [...this.#replicas.keys()]
    for (const link of ids.flatMap((from) => ids.map((to) => ({ from, to })))) {
      if (link.from !== link.to) this.#sockets.set(linkName(link), await this.#openSocket(link))
    }
    for (const to of ids) {
      const gate = await ClientGate.open({
        target: this.#placeOf(to),
        toReplica: this.#link({ from: 'clients', to }),
        toClients: this.#link({ from: to, to: 'clients' }),
      })
      this.#gates.push(gate)
    }
  }

  async #openSocket({ from, to }: { readonly from: number; readonly to: number }): Promise<Udp> {
    const { host, port } = this.#placeOf(to)
    const link = this.#link({ from, to })
    const target = formatAddress(host, port)
    const back = linkName({ from: to, to: from })
    const deliver = (bytes: Uint8Array) => this.#sockets.get(back)?.send(target, bytes)
    return openUdp({ host, port: 0, onDatagram: (bytes) => link.pass(bytes, deliver) })
  }

  #placeOf(id: number): Place {
    const place = this.#replicas[id]
    if (place === undefined) throw new RangeError(`there is no replica ${id}`)
    return place
  }

  /** Made when it is first asked for, with chances of its own: one link's traffic changes nothing on another. */
  #link(link: Link): FaultyLink {
    const name = linkName(link)
    const known = this.#links.get(name)
    if (known !== undefined) return known
    const made = new FaultyLink(new Random(seedOf(this.#seed, link)), this.#delays)
    this.#links.set(name, made)
    return made
  }

  /** Where replica `id` reaches each replica; itself where it listens. */
  routesOf(id: number): Place[] {
    return this.#replicas.map((place, to) => {
      const socket = this.#sockets.get(linkName({ from: id, to }))
      return socket === undefined ? place : placeOfAddress(socket.address)
    })
  }

  /** Where clients reach each replica. */
  routesOfClients(): Place[] {
    return this.#gates.map(({ address }) => placeOfAddress(address))
  }

  /**
   * Adds a rule for these directed links until the returned function is called; rules add up.
   * @throws RangeError for a rule that makes no sense, or a link that does not exist
   */
  add(links: readonly Link[], rule: LinkRule): () => void {
    const found = links.map((link) => this.#existing(link))
    const undo = found.map((link) => link.add(rule))
    return () => {
      for (const end of undo) end()
    }
  }

  #existing(link: Link): FaultyLink {
    const found = this.#links.get(linkName(link))
    if (found !== undefined) return found
    throw new RangeError(`there is no link from ${link.from} to ${link.to} that passes a proxy`)
  }

  /** No rule is in force any more; what waits still comes. */
  heal(): void {
    for (const link of this.#links.values()) link.heal()
  }

  /** Over all links, or of one. */
  counters(link?: Link): LinkCounters {
    const links = link === undefined ? [...this.#links.values()] : [this.#existing(link)]
    const sum = noCounts()
    for (const { counters } of links) {
      for (const name of LINK_COUNTERS) sum[name] += counters[name]
    }
    return sum
  }

  async close(): Promise<void> {
    this.#delays.close()
    await Promise.all([
      ...[...this.#sockets.values()].map((socket) => socket.close()),
      ...this.#gates.map((gate) => gate.close()),
    ])
    this.#sockets.clear()
  }

  /** Of a cluster whose datagrams take no detour: it has no links. */
  static none(replicas: readonly Place[]): LiveNetwork {
    return new LiveNetwork(replicas, 0)
  }
}

const linkName = ({ from, to }: Link): string => `${from}>${to}`

function placeOfAddress(address: string): Place {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

/** Odd factors spread neighbouring links far apart. */
function seedOf(seed: number, { from, to }: Link): number {
  const number = (end: Endpoint) => (end === 'clients' ? 1 : end + 2)
  return seed ^ Math.imul(number(from), 0x9e3779b1) ^ Math.imul(number(to), 0x85ebca6b)
}
