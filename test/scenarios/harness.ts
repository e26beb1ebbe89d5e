import type { Message, Request } from '../../protocol/messages.ts'
import { type Quorum, quorumOf } from '../../protocol/quorum.ts'
import { isReplica, type PrincipalId, type ReplicaId, replicaId, type Seq } from '../../protocol/types.ts'
import type { Effect, Observation, TimerName } from '../../replica/core/effect.ts'
import { isAmnesiac } from './audit.ts'
import { tellMessage, tellOrder, tellReply } from './message-narration.ts'
import { tellClaims, tellObservation, tellWork } from './narration.ts'
import { type Filter, Network } from './network.ts'
import { Node } from './node.ts'
import { DEFAULT_SHAPE, genesisOf, nameOf, type Shape, STATUS_BUSY_MS } from './parties.ts'

/** What a trace may tell of. */
export type Topic = Observation['kind'] | 'verify' | 'send' | 'reply' | 'read' | 'halt' | 'work'
export const DEFAULT_TOPICS: readonly Topic[] = [
  'accepted',
  'prepared',
  'committed',
  'executed',
  'stable',
  'caught-up',
  'view-change-started',
  'view-entered',
  'body-fetched',
  'transfer-started',
  'transfer-moved',
  'transfer-installed',
  'transfer-source-replaced',
  'tampered',
  'repaired',
  'amnesiac-recovering',
  'amnesiac-votes-again',
  'rejected',
  'reply',
  'read',
  'halt',
]

export type Line = { readonly by: ReplicaId; readonly topic: Topic; readonly text: string }

/** A cluster of real cores whose network, disks, databases and clock are in the hands of a test. */
export class Harness {
  readonly shape: Shape
  readonly quorum: Quorum
  readonly nodes: readonly Node[]
  readonly network = new Network()
  /** Everything that happened, told. */
  readonly lines: Line[] = []
  /** Every event and its effects, serialised: two runs of one scenario give the same text. */
  readonly transcript: string[] = []
  nowMs = 0

  constructor(shape: Partial<Shape> = {}) {
    this.shape = { ...DEFAULT_SHAPE, ...shape }
    this.quorum = quorumOf(this.shape.n)
    const genesis = genesisOf(this.shape)
    const ports = {
      send: (from: ReplicaId, to: PrincipalId, message: Message) => this.#onSend(from, to, message),
      onEffect: (self: ReplicaId, effect: Effect) => this.#onEffect(self, effect),
      onStep: (self: ReplicaId, event: unknown, effects: unknown) => {
        this.transcript.push(JSON.stringify([self, event, effects], plain))
      },
      nowMs: () => this.nowMs,
    }
    this.nodes = Array.from(
      { length: this.shape.n },
      (_, id) => new Node({ id: replicaId(id), shape: this.shape, genesis, ports }),
    )
    for (const node of this.nodes) node.start()
    // The first STATUS of a fresh cluster says nothing.
    this.network.drop({})
  }

  node(id: number): Node {
    const node = this.nodes[id]
    if (node === undefined) throw new Error(`there is no r${id}`)
    return node
  }

  #tell(by: ReplicaId, topic: Topic, text: string): void {
    this.lines.push({ by, topic, text })
  }

  #onSend(from: ReplicaId, to: PrincipalId, message: Message): void {
    if (isReplica(to)) {
      this.#tell(from, 'send', `-> ${nameOf(to)} ${tellMessage(message)}`)
      this.network.send({ from, to, message })
    } else if (message.type === 'reply') this.#tell(from, 'reply', tellReply(message))
    else throw new Error(`a ${message.type} to client ${to}`)
  }

  #onEffect(self: ReplicaId, effect: Effect): void {
    if (effect.type === 'observe') this.#observed(self, effect.what)
    if (effect.type === 'verify') this.#tell(self, 'verify', tellClaims(effect.claims))
    if (effect.type === 'halt') this.#tell(self, 'halt', `halt ${effect.fault.code} n=${effect.fault.seq}`)
    if (effect.type === 'read-state') this.#readState(self, effect)
    const work = tellWork(effect)
    if (work !== null) this.#tell(self, 'work', work)
  }

  #observed(self: ReplicaId, what: Observation): void {
    const order = what.kind === 'view-entered' ? ` O=${this.#orderOf(self, what.view)}` : ''
    this.#tell(self, what.kind, `${tellObservation(what)}${order}`)
  }

  /** [VC3] What it entered the view with is in its log. */
  #orderOf(self: ReplicaId, view: number): string {
    const records = this.node(self).disk.all
    const record = records.findLast((one) => one.kind === 'new-view' && one.message.view === view)
    return record?.kind === 'new-view' ? tellOrder(record.message.headers) : 'not logged'
  }

  #readState(
    self: ReplicaId,
    { to, nonce, accounts, atLeast }: Extract<Effect, { type: 'read-state' }>,
  ): void {
    const { store, disk } = this.node(self)
    const { lastExecuted, values } = store.readSync(accounts)
    if (lastExecuted < atLeast)
      throw new Error(`r${self} reads at ${lastExecuted} what it executed at ${atLeast}`)
    if (isAmnesiac(disk.durable)) throw new Error(`[D5] r${self} answers a read though it lost its vote log`)
    const text = values.map(({ account, balance, version }) => `${account}=${balance}@${version}`).join(' ')
    this.#tell(self, 'read', `-> ${nameOf(to)} read ${nonce} ${text}`)
  }

  /** What anybody's channel hands over: no core is asked whether the sender is who it says it is. */
  receive(from: PrincipalId, to: number, message: Message): void {
    this.node(to).dispatch({ type: 'message', from, message })
  }

  request(request: Request, to: readonly number[], from: PrincipalId = request.client): void {
    for (const id of to) this.receive(from, id, request)
  }

  /** Delivers the oldest packet that matches; false when there is none. */
  deliverOne(filter: Filter = {}): boolean {
    const packet = this.network.take(filter)
    if (packet === undefined) return false
    this.receive(packet.from, packet.to, packet.message)
    return true
  }

  /** Delivers what matches, and what that brings about, until nothing is left or `done` says so. */
  deliver(filter: Filter = {}, done: () => boolean = () => false): void {
    for (let count = 0; !done() && this.deliverOne(filter); count++) {
      if (count > 100_000) throw new Error('the cluster does not come to rest')
    }
  }

  crash(id: number, options: { readonly lostMarks?: number; readonly database?: Seq } = {}): void {
    const node = this.node(id)
    node.crash(options)
    if (options.database !== undefined) node.store.crash(options.database)
    this.network.forget(id)
  }

  /** Starts it and lets it and the others have sessions again. */
  restart(id: number, clock?: number): void {
    this.node(id).start(clock)
    this.connect(id)
  }

  connect(id: number): void {
    for (const other of this.nodes) {
      if (other.id === id || !other.isUp || this.network.isCut(other.id)) continue
      other.dispatch({ type: 'session-up', peer: replicaId(id) })
      this.node(id).dispatch({ type: 'session-up', peer: other.id })
    }
  }

  /** The STATUS timer of these replicas goes off, after its time. */
  timeout(at: readonly number[] = this.nodes.map(({ id }) => id)): void {
    this.nowMs += STATUS_BUSY_MS
    for (const id of at) this.node(id).fire('status')
  }

  /**
   * Another timer of these replicas goes off when it is due, and again while its core only finds that more time is due.
   * @throws when it does not run
   */
  expire(timer: Exclude<TimerName, 'status'>, at: readonly number[]): void {
    for (const id of at) {
      const node = this.node(id)
      const dueMs = node.timers.get(timer)
      if (dueMs === undefined) throw new Error(`r${id} has no ${timer} timer running`)
      this.nowMs = Math.max(this.nowMs, dueMs)
      const from = this.lines.length
      node.fire(timer)
      const again = node.timers.get(timer)
      const didNothing = this.lines.slice(from).every(({ topic }) => topic !== 'view-change-started')
      if (timer === 'view-change' && again !== undefined && didNothing) {
        this.nowMs = Math.max(this.nowMs, again)
        node.fire(timer)
      }
    }
  }

  /** Time and messages until nothing happens for `rounds` rounds; nobody loses patience with a primary. */
  settle(rounds = 12): void {
    for (let round = 0; round < rounds; round++) {
      this.deliver()
      this.timeout()
      for (const { id, timers } of this.nodes) {
        if ((timers.get('transfer') ?? Number.POSITIVE_INFINITY) <= this.nowMs) this.node(id).fire('transfer')
      }
    }
    this.deliver()
  }

  /** `ms` of a network without delay: every timer goes off when it is due. */
  elapse(ms: number): void {
    const endMs = this.nowMs + ms
    for (;;) {
      this.deliver()
      const next = this.#nextTimer(endMs)
      if (next === null) break
      this.nowMs = Math.max(this.nowMs, next.dueMs)
      next.node.fire(next.timer)
    }
    this.nowMs = endMs
  }

  #nextTimer(
    endMs: number,
  ): { readonly node: Node; readonly timer: TimerName; readonly dueMs: number } | null {
    const running = this.nodes
      .filter(({ isUp }) => isUp)
      .flatMap((node) => [...node.timers].map(([timer, dueMs]) => ({ node, timer, dueMs })))
      .filter(({ dueMs }) => dueMs <= endMs)
    return running.sort((a, b) => a.dueMs - b.dueMs || a.node.id - b.node.id)[0] ?? null
  }

  /** The highest seq executed at each replica that is up. */
  executed(): number[] {
    return this.nodes.map(({ core }) => core?.position.lastExecuted ?? -1)
  }
}

/** For JSON: bytes as hex, bigint as digits. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return isBufferJson(value) ? Buffer.from(value.data).toString('hex') : value
}

const isBufferJson = (value: unknown): value is { data: number[] } =>
  typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value
