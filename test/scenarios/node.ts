import type { MemoryStore } from '../../db/memory-store.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { Evidence, Message } from '../../protocol/messages.ts'
import {
  assertNever,
  type LogPosition,
  type PrincipalId,
  type ReplicaId,
  type Seq,
} from '../../protocol/types.ts'
import { ReplicaCore } from '../../replica/core/core.ts'
import type { Effect, TimerName } from '../../replica/core/effect.ts'
import type { Event } from '../../replica/core/event.ts'
import { VoteAudit } from './audit.ts'
import { Database } from './database.ts'
import { Disk } from './disk.ts'
import { configOf, cryptoOf, isSigned, type Shape } from './parties.ts'

/** What a scenario may take into its own hands; the rest happens at once. */
export type Work = 'persist' | 'execute' | 'verify' | 'read-log' | 'checkpoint' | 'transfer'

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
  readonly database: Database
  readonly held = new Set<Work>()
  /** When each timer that runs goes off. */
  readonly timers = new Map<TimerName, number>()
  readonly #shape: Shape
  readonly #genesis: Genesis
  readonly #ports: NodePorts
  readonly #audit = new VoteAudit()
  /** Kept beside the vote log. */
  readonly #evidence: Evidence[] = []
  #core: ReplicaCore | null = null
  #halted = false
  #durable = 0
  #starts = 0
  #events: Event[] = []
  #sends: HeldSend[] = []
  /** What is held back, oldest first: each gives the events that it brings about. */
  readonly #jobs = new Map<Work, (() => readonly Event[])[]>()

  constructor(args: { id: ReplicaId; shape: Shape; genesis: Genesis; ports: NodePorts }) {
    this.id = args.id
    this.#shape = args.shape
    this.#genesis = args.genesis
    this.#ports = args.ports
    this.database = new Database(args.genesis)
  }

  get store(): MemoryStore {
    return this.database.store
  }

  /** Null while it is down. */
  get core(): ReplicaCore | null {
    return this.#core
  }

  get isUp(): boolean {
    return this.#core !== null && !this.#halted
  }

  start(clock = 1_000 * (this.#starts + 1)): void {
    const { id, disk } = this
    this.#starts += 1
    const database = this.database.connect()
    this.#core = ReplicaCore.recover({
      config: configOf(this.#shape, this.#genesis, id),
      crypto: cryptoOf(id),
      votes: disk.recovered(),
      database,
      nextIncarnation: clock,
      servedFrom: disk.servedFrom,
      evidence: [...this.#evidence],
    })
    this.dispatch({ type: 'start' })
    const { lastExecuted } = database
    if (lastExecuted > 0 && lastExecuted % this.#shape.k === 0) {
      this.#do('checkpoint', () => [this.database.takeCheckpoint()])
      this.#run()
    }
  }

  /** SIGKILL: what was not durable is gone, and so is what was on its way inside. */
  crash({ lostMarks = 0 } = {}): void {
    this.#core = null
    this.#halted = false
    this.#durable = 0
    this.#events = []
    this.#sends = []
    this.#jobs.clear()
    this.timers.clear()
    this.disk.crash(lostMarks)
  }

  /** The vote log is lost while the replica is down. */
  wipeLog(): void {
    if (this.#core !== null) throw new Error(`r${this.id} is up`)
    this.disk.wipe()
    this.#audit.forgetViewChanges()
  }

  wipeDatabase(): void {
    if (this.#core !== null) throw new Error(`r${this.id} is up`)
    this.store.wipe()
  }

  /** The database alone crashes, loses what was not durable above `keep`, and comes back. */
  restartDatabase(keep: Seq): void {
    this.database.crash(keep)
    for (const work of ['execute', 'checkpoint', 'transfer'] as const) this.#jobs.delete(work)
    this.dispatch({ type: 'checkpoints-lost' })
    this.dispatch({ type: 'database-connected', database: this.database.connect() })
  }

  scrub(): void {
    for (const event of this.database.scrub()) this.dispatch(event)
  }

  /** The timer goes off; one that the core replaces meanwhile goes on. */
  fire(timer: TimerName): void {
    this.timers.delete(timer)
    this.dispatch({ type: 'timeout', timer })
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
        // A verdict comes before what arrived meanwhile, unless it was held back.
        if (!this.#isHeldBack('verify', () => [verdictOn(effect)])) this.#events.unshift(verdictOn(effect))
        return
      case 'execute':
        return this.#do('execute', () => this.database.execute(effect))
      case 'read-committed':
        return this.#do('read-log', () => [this.#read(effect)])
      case 'collect-garbage':
        return this.disk.cut(effect.upTo)
      case 'take-checkpoint':
        return this.#do('checkpoint', () => this.database.state(effect))
      case 'keep-checkpoints':
      case 'read-partitions':
      case 'read-history':
      case 'begin-transfer':
      case 'stage-partition':
      case 'stage-history':
      case 'install-transfer':
      case 'cancel-transfer':
        return this.#do('transfer', () => this.database.state(effect))
      case 'keep-evidence':
        this.#evidence.push(effect.evidence)
        return
      case 'set-timer':
        this.timers.set(effect.timer, this.#ports.nowMs() + effect.ms)
        return
      case 'stop-timer':
        this.timers.delete(effect.timer)
        return
      case 'halt':
        this.#halted = true
        return
      case 'read-state':
      case 'observe':
        return
      default:
        return assertNever(effect)
    }
  }

  /** At once, unless work of this kind is held back; in order in any case. */
  #do(work: Work, job: () => readonly Event[]): void {
    if (!this.#isHeldBack(work, job)) this.#came(job())
  }

  #isHeldBack(work: Work, job: () => readonly Event[]): boolean {
    const waiting = this.#jobs.get(work) ?? []
    if (!this.held.has(work) && waiting.length === 0) return false
    this.#jobs.set(work, [...waiting, job])
    return true
  }

  /** A state is held as soon as it is executed; that its root is known may be held back. */
  #came(events: readonly Event[]): void {
    for (const event of events) {
      if (event.type === 'checkpoint-taken' && this.#isHeldBack('checkpoint', () => [event])) continue
      this.#events.push(event)
    }
  }

  #read(effect: Of<'read-committed'>): Event {
    return { type: 'committed-read', reader: effect.reader, entries: this.disk.readCommitted(effect) }
  }

  /** Does `count` of what is held back, oldest first. */
  advance(work: Work, count: number): void {
    if (work === 'persist') {
      if (this.disk.pending > 0) this.#events.push(this.#persist(count))
    } else if (work === 'checkpoint') {
      for (const job of this.#jobs.get(work)?.splice(0, count) ?? []) this.#events.push(...job())
    } else {
      for (const job of this.#jobs.get(work)?.splice(0, count) ?? []) this.#came(job())
    }
    this.#run()
  }
}

const verdictOn = ({ check, claims }: Of<'verify'>): Event => ({
  type: 'verified',
  check,
  valid: claims.map(isSigned),
})
