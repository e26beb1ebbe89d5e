import {
  type ChannelCrypto,
  type ChannelEvent,
  type ChannelLimits,
  DEFAULT_CHANNEL_LIMITS,
  Endpoint,
  type PeerIdentity,
} from '../../../protocol/channel/endpoint.ts'
import { type Digest, type PrincipalId, principalId } from '../../../protocol/types.ts'

/** mulberry32: enough to make faults; one seed replays one run. */
export function randomOf(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const mix = (parts: readonly Uint8Array[], lane: number): number => {
  let h = (0x811c9dc5 ^ Math.imul(lane + 1, 0x9e3779b1)) | 0
  for (const part of parts) {
    h = Math.imul(h ^ part.length, 0x85ebca6b)
    for (let i = 0; i < part.length; i++) h = Math.imul(h ^ (part[i] ?? 0), 0x01000193) ^ (h >>> 13)
  }
  h = Math.imul(h ^ (h >>> 16), 0xc2b2ae35)
  return (h ^ (h >>> 15)) >>> 0
}

const digest = (parts: readonly Uint8Array[], bytes: number): Buffer => {
  const out = Buffer.alloc(bytes)
  const a = mix(parts, 0)
  const b = mix(parts, 1)
  for (let i = 0; i < bytes; i += 4) out.writeUInt32BE((a ^ Math.imul(b, i + 1)) >>> 0, i)
  return out
}

const numberBytes = (n: number): Buffer => {
  const out = Buffer.alloc(8)
  out.writeDoubleBE(n)
  return out
}

export const publicKeyOf = (id: number): Buffer => Buffer.alloc(32, (id * 7 + 1) & 0xff)

/** Cheap and seeded: anybody can forge it, but chance cannot, and that is what the fault tests need. */
export function cheapCrypto(publicKey: Uint8Array, seed: number): ChannelCrypto {
  const random = randomOf(seed)
  const randomBytes = (n: number): Buffer => {
    const out = Buffer.alloc(n)
    for (let i = 0; i < n; i++) out[i] = Math.floor(random() * 256)
    return out
  }
  const xor = (a: Uint8Array, b: Uint8Array): Buffer => Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)))
  const point = Buffer.alloc(32, 0x5a)
  return {
    sign: (bytes) => digest([publicKey, bytes], 64),
    verify: (key, bytes, signature) => digest([key, bytes], 64).equals(signature),
    keyPair: () => {
      const secretKey = randomBytes(32)
      return { secretKey, publicKey: xor(secretKey, point) }
    },
    sharedSecret: (own, peer) => (peer.every((byte) => byte === 0) ? null : xor(own, peer)),
    hash: (...parts) => digest(parts, 32),
    mac: (key, ...parts) => digest([key, ...parts], 32),
    seal: (key, packetNumber, ad, plaintext, out) => {
      out.set(plaintext, 0)
      out.set(digest([key, numberBytes(packetNumber), ad, plaintext], 16), plaintext.length)
    },
    open: (key, packetNumber, ad, ciphertext, out) => {
      const plain = ciphertext.subarray(0, ciphertext.length - 16)
      const tag = digest([key, numberBytes(packetNumber), ad, plain], 16)
      if (!tag.equals(ciphertext.subarray(ciphertext.length - 16))) return false
      out.set(plain)
      return true
    },
    randomBytes,
  }
}

export const CLUSTER_ID = Buffer.alloc(16, 7)
export const GENESIS = 'ab'.repeat(32) as Digest

/** What the net does to one datagram: the copies that arrive, each with its bytes and its latency. */
export type Fault = (datagram: Uint8Array, context: { from: string; to: string; nowMs: number }) => Copy[]
export type Copy = { readonly bytes: Uint8Array; readonly latencyMs: number }

export type Node = {
  readonly id: PrincipalId
  readonly address: string
  endpoint: Endpoint
  events: ChannelEvent[]
}

export type NodeOptions = {
  readonly address?: string
  readonly limits?: Partial<ChannelLimits>
  readonly genesisDigest?: Digest
  readonly clusterId?: Buffer
  readonly crypto?: ChannelCrypto
  readonly admits?: (id: PrincipalId) => boolean
  readonly publicKey?: Uint8Array
  readonly publicKeys?: (id: number) => Uint8Array
}

type InTransit = {
  readonly atMs: number
  readonly order: number
  from: string
  to: string
  bytes: Uint8Array
}

/** Owns time, latency and MTU; delivers by time, polls every endpoint when it asks for it. */
export class Net {
  nowMs = 1000
  latencyMs = 1
  mtuBytes = 65_507
  fault: Fault | undefined
  readonly nodes = new Map<string, Node>()
  /** Every datagram put on the wire, when `record` is set. */
  readonly wire: { from: string; to: string; bytes: Uint8Array }[] = []
  record = false
  largestDatagramBytes = 0
  private transit: InTransit[] = []
  private order = 0
  private seed: number

  constructor(seed = 1) {
    this.seed = seed
  }

  add(id: number, options: NodeOptions = {}): Node {
    const address = options.address ?? `host:${id}`
    const keys = options.publicKeys ?? publicKeyOf
    const peers = (peer: PrincipalId): PeerIdentity | undefined =>
      options.admits === undefined || options.admits(peer) || peer === id
        ? { id: peer, publicKey: keys(peer) }
        : undefined
    this.seed += 1
    const endpoint = new Endpoint(
      {
        self: principalId(id),
        clusterId: options.clusterId ?? CLUSTER_ID,
        genesisDigest: options.genesisDigest ?? GENESIS,
        peers,
        limits: { ...DEFAULT_CHANNEL_LIMITS, ...options.limits },
      },
      options.crypto ?? cheapCrypto(options.publicKey ?? keys(id), this.seed * 7919),
    )
    const node: Node = { id: principalId(id), address, endpoint, events: [] }
    this.nodes.set(address, node)
    return node
  }

  /** kill -9: what is under way to it is lost with it. */
  remove(node: Node): void {
    this.nodes.delete(node.address)
    this.transit = this.transit.filter((packet) => packet.to !== node.address)
  }

  connect(a: Node, b: Node): void {
    a.endpoint.connect(b.id, b.address, this.nowMs)
  }

  send(from: Node, to: Node, message: Uint8Array): 'queued' | 'dropped' {
    return from.endpoint.send(to.id, message, this.nowMs)
  }

  /** Puts bytes on the wire as if `from` had sent them. */
  inject(to: string, from: string, bytes: Uint8Array): void {
    this.transit.push({ atMs: this.nowMs, order: this.order++, from, to, bytes })
  }

  run(ms: number): void {
    const endMs = this.nowMs + ms
    this.runUntil(() => false, endMs)
    this.nowMs = endMs
  }

  /** Runs until `done`; returns whether it became so before `endMs`. */
  runUntil(done: () => boolean, endMs: number): boolean {
    let idleSteps = 0
    for (;;) {
      this.deliverDue()
      this.pollAll()
      if (done()) return true
      const next = this.nextMs()
      if (next > endMs) return false
      if (next > this.nowMs) {
        this.nowMs = next
        idleSteps = 0
      } else if (++idleSteps > 100_000) {
        throw new Error('time stands still: an endpoint asks for poll() without end')
      }
    }
  }

  pollAll(): void {
    for (const node of this.nodes.values()) {
      const { datagrams, events } = node.endpoint.poll(this.nowMs)
      for (const event of events) node.events.push(event)
      for (const { to, bytes } of datagrams) this.transmit(node.address, to, bytes)
    }
  }

  private transmit(from: string, to: string, bytes: Uint8Array): void {
    this.largestDatagramBytes = Math.max(this.largestDatagramBytes, bytes.length)
    if (this.record) this.wire.push({ from, to, bytes: Buffer.from(bytes) })
    if (bytes.length > this.mtuBytes) return
    const copies = this.fault?.(bytes, { from, to, nowMs: this.nowMs }) ?? [
      { bytes, latencyMs: this.latencyMs },
    ]
    for (const copy of copies) {
      this.transit.push({
        atMs: this.nowMs + copy.latencyMs,
        order: this.order++,
        from,
        to,
        bytes: copy.bytes,
      })
    }
  }

  private deliverDue(): void {
    const due = this.transit.filter((packet) => packet.atMs <= this.nowMs)
    if (due.length === 0) return
    this.transit = this.transit.filter((packet) => packet.atMs > this.nowMs)
    due.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
    for (const { to, from, bytes } of due) this.nodes.get(to)?.endpoint.receive(bytes, from, this.nowMs)
  }

  private nextMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const packet of this.transit) next = Math.min(next, packet.atMs)
    for (const { endpoint } of this.nodes.values()) next = Math.min(next, endpoint.nextTimeoutMs() ?? next)
    return next
  }
}

export const messagesOf = (node: Node): Uint8Array[] =>
  node.events.flatMap((event) => (event.type === 'message' ? [event.message] : []))

export const lostOf = (node: Node): number =>
  node.events.reduce((sum, event) => sum + (event.type === 'lost' ? event.messages : 0), 0)

export const isUp = (node: Node, peer: Node): boolean => node.endpoint.peerState(peer.id).up

export const counter = (node: Node, name: string): number => node.endpoint.counters()[name] ?? Number.NaN

/** Two replicas with a session, ready to talk. */
export function pair(options: { limits?: Partial<ChannelLimits>; seed?: number } = {}): {
  net: Net
  a: Node
  b: Node
} {
  const net = new Net(options.seed)
  const a = net.add(0, { limits: options.limits ?? {} })
  const b = net.add(1, { limits: options.limits ?? {} })
  net.connect(a, b)
  net.connect(b, a)
  if (!net.runUntil(() => isUp(a, b) && isUp(b, a), net.nowMs + 1000)) throw new Error('no session')
  return { net, a, b }
}

/** A message that tells which it is, of any length from 4 bytes on. */
export function numbered(n: number, bytes = 100): Buffer {
  const out = Buffer.alloc(Math.max(bytes, 4), n & 0xff)
  out.writeUInt32BE(n, 0)
  return out
}
