import type { Random } from '../../../chaos/sim/random.ts'
import type { Message, MessageType, Request } from '../../../protocol/messages.ts'
import type { Operation } from '../../../protocol/operations.ts'
import { requestOf as signedRequestOf } from '../../../protocol/signed.ts'
import {
  type Digest,
  isReplica,
  lane,
  type PrincipalId,
  type ReplicaId,
  replicaId,
  requestNumber,
  type Seq,
  view,
} from '../../../protocol/types.ts'
import type { TimerName } from '../../../replica/core/effect.ts'
import { CLIENTS, DEFAULT_SHAPE, genesisOf, requestOf, type Shape, sign } from '../../scenarios/parties.ts'
import { Finding, must } from '../target.ts'
import { PeerNode } from './peer-node.ts'

type Packet = { readonly from: ReplicaId; readonly to: ReplicaId; readonly message: Message }

/** Beyond this the oldest are lost: a liar must not fill this process where a channel would have dropped. */
const PACKETS_MAX = 4_096
/** Of each type: there are many more votes than anything else. */
const HEARD_MAX = 32
/** Within so much simulated time what a client asks for is executed, once nobody disturbs any more. */
const LIVE_MS_MAX = 120_000
const RETRY_MS = 500

/** A cluster of real cores of which one lies, on one clock, with a network that loses nothing unless told to. */
export class World {
  readonly shape: Shape
  readonly liar: ReplicaId
  readonly nodes: readonly PeerNode[]
  /** What was said lately, to whomever, by type: what a liar may say again, changed. */
  readonly #heard = new Map<MessageType, Message[]>()
  nowMs = 0
  /** Whether anything of the liar's own core gets through. */
  isMuted = false
  /** Nothing gets to or from this one. */
  cutOff: ReplicaId | null = null
  readonly #random: Random
  readonly #chains = new Map<Seq, Digest>()
  #packets: Packet[] = []
  #number = 0

  constructor(random: Random) {
    this.#random = random
    const n = random.chance(0.8) ? 4 : 7
    this.shape = { ...DEFAULT_SHAPE, n, k: random.pick([4, 8, 16]), inFlightMax: random.int(1, 4) }
    this.liar = replicaId(random.int(0, n - 1))
    const genesis = genesisOf(this.shape)
    this.nodes = Array.from({ length: n }, (_, index) => {
      const id = replicaId(index)
      return new PeerNode({
        id,
        shape: this.shape,
        genesis,
        surroundings: {
          send: (from, to, message) => this.#onSend(from, to, message),
          nowMs: () => this.nowMs,
          onExecuted: (seq, chain) => this.#onExecuted(seq, chain),
          onAccused: (accused) => must(accused === this.liar, `r${accused} is correct, and accused`),
          isLiar: id === this.liar,
        },
      })
    })
    this.#hear({ type: 'read', nonce: 1, accounts: ['a', 'b'] })
    this.#hear({ type: 'inspect', nonce: 1 })
    // [D5] A liar may say that it lost its vote log.
    const recovery = { client: this.liar, lane: lane(0), number: requestNumber(1) }
    this.#hear(signedRequestOf({ ...recovery, operations: [{ kind: 'recover', view: view(0) }] }, sign))
    for (const node of this.nodes) node.dispatch({ type: 'start' })
    for (const node of this.nodes) this.#connect(node)
  }

  get correct(): readonly PeerNode[] {
    return this.nodes.filter(({ id }) => id !== this.liar)
  }

  #connect(node: PeerNode): void {
    for (const { id } of this.nodes) if (id !== node.id) node.dispatch({ type: 'session-up', peer: id })
  }

  #onSend(from: ReplicaId, to: readonly PrincipalId[], message: Message): void {
    this.#hear(message)
    for (const peer of to) {
      if (!isReplica(peer) || this.#isLost(from, peer)) continue
      this.#packets.push({ from, to: peer, message })
    }
    if (this.#packets.length > PACKETS_MAX) this.#packets.splice(0, PACKETS_MAX / 2)
  }

  #hear(message: Message): void {
    const heard = this.#heard.get(message.type) ?? []
    this.#heard.set(message.type, heard)
    if (heard.length < HEARD_MAX) heard.push(message)
    else heard[this.#random.int(0, HEARD_MAX - 1)] = message
  }

  /** Any type as likely as any other. */
  aMessage(): Message {
    return this.#random.pick(this.#random.pick([...this.#heard.values()]))
  }

  #isLost(from: ReplicaId, to: ReplicaId): boolean {
    return (this.isMuted && from === this.liar) || from === this.cutOff || to === this.cutOff
  }

  #onExecuted(seq: Seq, chain: Digest): void {
    const known = this.#chains.get(seq)
    must(known === undefined || known === chain, `correct replicas executed other things at ${seq}`)
    this.#chains.set(seq, chain)
  }

  /** Delivers at most `count` of what is under way, mostly in order. */
  deliver(count: number): void {
    for (let left = count; left > 0 && this.#packets.length > 0; left--) {
      const at = this.#random.chance(0.9) ? 0 : this.#random.int(0, Math.min(31, this.#packets.length - 1))
      const [packet] = this.#packets.splice(at, 1)
      if (packet === undefined || this.#isLost(packet.from, packet.to)) continue
      this.nodes[packet.to]?.dispatch({ type: 'message', from: packet.from, message: packet.message })
    }
  }

  /** Time passes; timers that are due go off. */
  elapse(ms: number): void {
    this.nowMs += ms
    for (const node of this.nodes) {
      const due = [...node.timers].filter(([, dueMs]) => dueMs <= this.nowMs).map(([timer]) => timer)
      for (const timer of due) this.#fire(node, timer)
    }
  }

  /** One that went off before it may have stopped this one. */
  #fire(node: PeerNode, timer: TimerName): void {
    if ((node.timers.get(timer) ?? Number.POSITIVE_INFINITY) <= this.nowMs) node.fire(timer)
  }

  heal(): void {
    this.cutOff = null
    for (const node of this.nodes) this.#connect(node)
  }

  /** What a correct client asks for, sent to all. */
  request(operations: readonly Operation[] = [this.#operation()]): Request {
    this.#number += 1
    const request = requestOf({
      client: CLIENTS.teller,
      lane: this.#random.int(0, 3),
      number: this.#number,
      operations,
    })
    this.send(request)
    return request
  }

  send(request: Request): void {
    this.#hear(request)
    for (const node of this.nodes) node.dispatch({ type: 'message', from: request.client, message: request })
  }

  #operation(): Operation {
    const account = this.#random.pick(['a', 'a2', 'b'])
    return { kind: 'deposit', account, amount: BigInt(this.#random.int(1, 9)) }
  }

  /** [NC8] Nobody disturbs any more: what a client asks for now, all correct replicas execute. */
  expectLive(): void {
    this.heal()
    const before = Math.max(...this.correct.map(({ position }) => position.lastExecuted))
    const untilMs = this.nowMs + LIVE_MS_MAX
    let retryAtMs = this.nowMs
    // One lane: a request that was superseded would not be executed.
    this.#number += 1
    const operations = [this.#operation()]
    const request = requestOf({ client: CLIENTS.bob, lane: 3, number: 2 ** 52 + this.#number, operations })
    while (!this.correct.every(({ position }) => position.lastExecuted > before)) {
      if (this.nowMs > untilMs) throw new Finding(`not live:\n  ${this.where()}`)
      if (this.nowMs >= retryAtMs) {
        retryAtMs = this.nowMs + RETRY_MS
        this.send(request)
      }
      this.deliver(10_000)
      this.elapse(20)
    }
  }

  where(): string {
    return this.nodes
      .map(({ id, position, timers }) => {
        const who = id === this.liar ? `r${id} (liar)` : `r${id}`
        return `${who} ${JSON.stringify(position)} timers ${JSON.stringify([...timers])} at ${this.nowMs}`
      })
      .join('\n  ')
  }
}
