import { MemoryStore } from '../../db/memory-store.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { Message } from '../../protocol/messages.ts'
import {
  assertNever,
  type Digest,
  type LogPosition,
  type PrincipalId,
  type ReplicaId,
  type Seq,
} from '../../protocol/types.ts'
import { ReplicaCore } from '../../replica/core/core.ts'
import type { Effect } from '../../replica/core/effect.ts'
import type { DatabaseState, Event } from '../../replica/core/event.ts'
import { VoteAudit } from './audit.ts'
import { Disk } from './disk.ts'
import { configOf, crypto, isSigned, type Shape } from './parties.ts'

/** What a scenario may take into its own hands; the rest happens at once. */
export type Work = 'persist' | 'execute' | 'verify' | 'read-log'

export type NodePorts = {
  readonly send: (from: ReplicaId, to: PrincipalId, message: Message) => void
  /** Everything a core did, in order. */
  readonly onEffect: (self: ReplicaId, effect: Effect) => void
  readonly onStep: (self: ReplicaId, event: Event, effects: readonly Effect[]) => void
  readonly nowMs: () => number
}

type HeldSend = {
  readonly after: LogPosition
  readonly to: readonly PrincipalId[]
  readonly message: Message
}
type Of<T extends Effect['type']> = Extract<Effect, { type: T }>

/** One replica: a real core and a real memory store around an imitated disk. */
export class Node {
  readonly id: ReplicaId
  readonly disk = new Disk()
  readonly store: MemoryStore
  readonly held = new Set<Work>()
  /** While true, what the database reports has another chain than it should: its state diverged. */
  diverged = false
  readonly #shape: Shape
  readonly #genesis: Genesis
  readonly #ports: NodePorts
  readonly #audit = new VoteAudit()
  #core: ReplicaCore | null = null
  #halted = false
  #durable = 0
  #events: Event[] = []
  #sends: HeldSend[] = []
  #executes: Of<'execute'>[] = []
  #verifies: Of<'verify'>[] = []
  #reads: Of<'read-committed'>[] = []

  constructor(args: { id: ReplicaId; shape: Shape; genesis: Genesis; ports: NodePorts }) {
    this.id = args.id
    this.#shape = args.shape
    this.#genesis = args.genesis
    this.#ports = args.ports
    this.store = new MemoryStore({ genesis: args.genesis })
  }

  /** Null while it is down. */
  get core(): ReplicaCore | null {
    return this.#core
  }

  get isUp(): boolean {
    return this.#core !== null && !this.#halted
  }

  start(): void {
    const { id, disk } = this
    this.#core = ReplicaCore.recover({
      config: configOf(this.#shape, this.#genesis, id),
      crypto,
      votes: disk.recovered(),
      database: this.database(),
    })
    this.dispatch({ type: 'start' })
  }

  /** SIGKILL: what was not durable is gone, and so is what was on its way inside. */
  crash({ lostMarks = 0 } = {}): void {
    this.#core = null
    this.#halted = false
    this.#durable = 0
    this.#events = []
    this.#sends = []
    this.#executes = []
    this.#verifies = []
    this.#reads = []
    this.disk.crash(lostMarks)
  }

  /** The database alone crashes, loses what was not durable above `keep`, and comes back. */
  restartDatabase(keep: Seq): void {
    this.store.crash(keep)
    this.#executes = []
    this.dispatch({ type: 'database-connected', database: this.database() })
  }

  /** Where the database stands, as it says itself on a new connection. */
  database(): DatabaseState {
    const { lastExecuted, chain, lanes } = this.store.connectSync()
    const rows = this.store.allRows().chain
    const boundary = (lastExecuted - (lastExecuted % this.#shape.k)) as Seq
    const checkpoint = rows[boundary - 1]
    return {
      lastExecuted,
      chain,
      batchDigest: rows[lastExecuted - 1]?.batchDigest ?? null,
      checkpoint: checkpoint === undefined ? null : { seq: boundary, chain: checkpoint.chain },
      lanes,
    }
  }

  dispatch(event: Event): void {
    if (!this.isUp) return
    this.#events.push(event)
    this.#run()
  }

  /** Events until there are none; then one group commit of what they wrote, and on. */
  #run(): void {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) this.#step(event)
      else if (!this.isUp || this.held.has('persist') || this.disk.pending === 0) return
      else this.#events.push(this.#persist(this.disk.pending))
    }
  }

  #step(event: Event): void {
    if (this.#core === null || this.#halted) return
    const effects = this.#core.step(event, this.#ports.nowMs())
    this.#ports.onStep(this.id, event, effects)
    for (const effect of effects) {
      if (this.#halted) return
      this.#ports.onEffect(this.id, effect)
      this.#perform(effect)
    }
  }

  #persist(count: number): Event {
    const upTo = this.disk.persist(count)
    this.#durable = upTo
    const due = this.#sends.filter(({ after }) => after <= upTo)
    this.#sends = this.#sends.filter(({ after }) => after > upTo)
    for (const { to, message } of due) this.#send(to, message)
    return { type: 'persisted', upTo }
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    this.#audit.check(this.id, message, this.disk.durable)
    for (const peer of to) this.#ports.send(this.id, peer, message)
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case 'persist':
        return this.disk.append(effect.position, effect.record)
      case 'send':
        if (effect.after === undefined || effect.after <= this.#durable) this.#send(effect.to, effect.message)
        else this.#sends.push({ after: effect.after, to: effect.to, message: effect.message })
        return
      case 'verify':
        if (this.held.has('verify')) this.#verifies.push(effect)
        else this.#events.unshift(verdictOn(effect))
        return
      case 'execute':
        if (this.held.has('execute') || this.#executes.length > 0) this.#executes.push(effect)
        else this.#execute(effect)
        return
      case 'read-committed':
        if (this.held.has('read-log')) this.#reads.push(effect)
        else this.#read(effect)
        return
      case 'halt':
        this.#halted = true
        return
      case 'read-state':
      case 'set-timer':
      case 'observe':
        return
      default:
        return assertNever(effect)
    }
  }

  #execute({ seq, batch }: Of<'execute'>): void {
    const durable = seq % this.#shape.k === 0
    for (const executed of this.store.executeSync([{ seq, batch }], { durable })) {
      const { chain, lanes } = executed
      this.#events.push({ type: 'executed', seq, chain: this.diverged ? otherThan(chain) : chain, lanes })
    }
  }

  #read(effect: Of<'read-committed'>): void {
    const entries = this.disk.readCommitted(effect)
    this.#events.push({ type: 'committed-read', reader: effect.reader, entries })
  }

  /** Does `count` of what is held back, oldest first. */
  advance(work: Work, count: number): void {
    switch (work) {
      case 'persist':
        if (this.disk.pending > 0) this.#events.push(this.#persist(count))
        break
      case 'execute':
        for (const effect of this.#executes.splice(0, count)) this.#execute(effect)
        break
      case 'verify':
        for (const effect of this.#verifies.splice(0, count)) this.#events.push(verdictOn(effect))
        break
      case 'read-log':
        for (const effect of this.#reads.splice(0, count)) this.#read(effect)
        break
      default:
        return assertNever(work)
    }
    this.#run()
  }
}

const verdictOn = ({ check, claims }: Of<'verify'>): Event => ({
  type: 'verified',
  check,
  valid: claims.map(isSigned),
})

const otherThan = (chain: Digest): Digest => `${chain.startsWith('0') ? 'f' : '0'}${chain.slice(1)}` as Digest
