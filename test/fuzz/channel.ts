import { Random } from '../../chaos/sim/random.ts'
import { type ChannelLimits, DEFAULT_CHANNEL_LIMITS } from '../../protocol/channel/endpoint.ts'
import { lostOf, messagesOf, Net, type Node } from '../unit/channel/net.ts'
import { heldBy } from './channel/held.ts'
import { HostilePeer } from './channel/hostile-peer.ts'
import { Strangers } from './channel/strangers.ts'
import { must, type Tally, type Target } from './target.ts'

const KIB = 1_024
const [VICTIM, CORRECT, REPLICA, CLIENT] = [0, 1, 2, 1_000]
const LOOK_EVERY = 500
/** Above: the rings and tables of fixed size, of four peers, and what the limits below admit. */
const ENTRIES_MAX = 20_000
const BYTES_MAX = 6_000_000

const share = {
  sendBytesPerPeerMax: 256 * KIB,
  sendBytesTotalMax: 1_024 * KIB,
  reassemblyBytesPerPeerMax: 256 * KIB,
  reassemblyBytesTotalMax: 512 * KIB,
  eventBytesMax: 512 * KIB,
  pollBytesMax: 256 * KIB,
}
/** So tight that a campaign reaches every bound. */
const LIMITS: ChannelLimits = {
  ...DEFAULT_CHANNEL_LIMITS,
  messageBytesMax: 64 * KIB,
  replica: { ...DEFAULT_CHANNEL_LIMITS.replica, ...share },
  client: { ...DEFAULT_CHANNEL_LIMITS.client, ...share },
  halfOpenMax: 32,
  windowBytesMax: 256 * KIB,
}

/** Datagrams of anybody, and packets of peers with sessions, at an endpoint that also talks to a correct one. */
export const channel: Target = {
  inputsPerRound: 5_000,
  round({ seed, inputs, tally }) {
    const random = new Random(seed)
    const net = new Net(seed)
    const strangers = new Strangers(random)
    const admits = (id: number) => id <= REPLICA || id === CLIENT
    const victim = net.add(VICTIM, { limits: LIMITS, admits })
    const correct = net.add(CORRECT, { limits: LIMITS, admits })
    const peers = [REPLICA, CLIENT].map((id) => new HostilePeer(net, id, { seed: seed + id, limits: LIMITS }))
    net.fault = (bytes, { from, to }) => {
      strangers.hear({ from, to, bytes })
      return random.chance(0.02) ? [] : [{ bytes, latencyMs: random.pick([1, 1, 1, 4]) }]
    }
    for (const { node } of peers) net.connect(node, victim)
    net.connect(victim, correct)
    net.connect(correct, victim)
    net.run(500)
    const talk = new Talk({ net, victim, correct })
    for (let input = 0; input < inputs; input++) {
      throwOne({ net, victim, peers, strangers, random, tally })
      if (random.chance(0.05)) talk.exchange(random)
      if (random.chance(0.5)) net.run(random.pick([0, 0, 1, 5, 20]))
      if (random.chance(0.0005)) net.run(random.pick([500, 3_000, 12_000]))
      if (input % LOOK_EVERY === LOOK_EVERY - 1) checkBounds(victim, tally)
    }
    checkBounds(victim, tally)
    talk.expectToWork(random)
    for (const [what, times] of Object.entries(victim.endpoint.counters())) tally.count(what, times)
  },
}

function throwOne(args: {
  readonly net: Net
  readonly victim: Node
  readonly peers: readonly HostilePeer[]
  readonly strangers: Strangers
  readonly random: Random
  readonly tally: Tally
}): void {
  const { net, victim, peers, strangers, random, tally } = args
  const peer = random.pick(peers)
  const packet = random.chance(0.6) ? peer.packet(random) : undefined
  const { from, bytes } =
    packet === undefined ? strangers.datagram() : { from: peer.node.address, bytes: packet }
  tally.count(packet === undefined ? 'datagrams of strangers' : 'packets of peers')
  victim.endpoint.receive(bytes, from, net.nowMs)
}

function checkBounds({ endpoint }: Node, tally: Tally): void {
  const { entries, bytes } = heldBy(endpoint)
  tally.count('bounds checked')
  must(entries <= ENTRIES_MAX, `${entries} entries are held`)
  must(bytes <= BYTES_MAX, `${bytes} bytes are held`)
  must(endpoint.halfOpenCount() <= 2 * LIMITS.halfOpenMax, `${endpoint.halfOpenCount()} half open`)
}

/** What the victim and a correct peer say to each other meanwhile: each message arrives once, or is reported lost. */
class Talk {
  readonly #net: Net
  readonly #ends: readonly [Node, Node]
  #sent = 0
  #lost = 0
  /** Since the beginning, of both directions. */
  readonly #arrived = new Set<number>()

  constructor({ net, victim, correct }: { net: Net; victim: Node; correct: Node }) {
    this.#net = net
    this.#ends = [victim, correct]
  }

  exchange(random: Random): void {
    const [a, b] = random.chance(0.5) ? this.#ends : this.#ends.toReversed()
    if (a === undefined || b === undefined) return
    const message = Buffer.alloc(random.pick([16, 200, 3_000]))
    message.write('talk')
    message.writeUInt32BE(this.#sent, 4)
    if (this.#net.send(a, b, message) === 'queued') this.#sent += 1
    this.#take()
  }

  #take(): void {
    for (const node of this.#ends) {
      for (const message of messagesOf(node).map((bytes) => Buffer.from(bytes))) {
        if (message.toString('latin1', 0, 4) !== 'talk') continue
        const number = message.readUInt32BE(4)
        must(!this.#arrived.has(number), `message ${number} arrived twice`)
        this.#arrived.add(number)
      }
      this.#lost += lostOf({ ...node, events: node.events.filter((event) => isBetween(event, this.#ends)) })
      node.events = []
    }
  }

  /** Nobody disturbs any more, but for sessions that stay as they are. */
  expectToWork(random: Random): void {
    const [victim] = this.#ends
    this.#net.run(15_000)
    this.#take()
    must(this.#arrived.size + this.#lost >= this.#sent, 'messages are neither there nor lost')
    const [before, lost] = [this.#sent, this.#lost]
    for (let message = 0; message < 20; message++) this.exchange(random)
    this.#net.run(5_000)
    this.#take()
    must(this.#sent === before + 20 && this.#lost === lost, 'a correct peer is not served any more')
    for (let number = before; number < this.#sent; number++) {
      must(this.#arrived.has(number), `message ${number} of a correct peer does not arrive`)
    }
    must(victim.endpoint.halfOpenCount() === 0, 'handshakes stay half open')
    must(victim.endpoint.bufferedBytes() === 0, `${victim.endpoint.bufferedBytes()} bytes stay buffered`)
  }
}

const isBetween = (event: Node['events'][number], [a, b]: readonly [Node, Node]): boolean =>
  event.type === 'lost' && (event.peer === a.id || event.peer === b.id)
