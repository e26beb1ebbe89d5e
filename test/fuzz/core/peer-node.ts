import type { Genesis } from '../../../protocol/config.ts'
import type { Message } from '../../../protocol/messages.ts'
import type { Digest, PrincipalId, ReplicaId, Seq } from '../../../protocol/types.ts'
import { ReplicaCore } from '../../../replica/core/core.ts'
import type { Effect, Observation, TimerName } from '../../../replica/core/effect.ts'
import type { Event } from '../../../replica/core/event.ts'
import { Engine, type Ports } from '../../../replica/runtime/engine.ts'
import { Database } from '../../scenarios/database.ts'
import { Disk } from '../../scenarios/disk.ts'
import { configOf, cryptoOf, isSigned, type Shape } from '../../scenarios/parties.ts'
import { Finding, must } from '../target.ts'

/** Whatever one event brings about: the votes of a whole window for all peers, and all that was held for it. */
const EFFECTS_MAX = 2_000

/** What a node needs of the world around it. */
export type Surroundings = {
  readonly send: (from: ReplicaId, to: readonly PrincipalId[], message: Message) => void
  readonly nowMs: () => number
  readonly onExecuted: (seq: Seq, chain: Digest) => void
  readonly onAccused: (accused: PrincipalId) => void
  /** A liar's own core may well find that it contradicts itself. */
  readonly isLiar: boolean
}

/** One replica: the engine and the core of production, a memory store, a disk that is always done. */
export class PeerNode {
  readonly id: ReplicaId
  readonly timers = new Map<TimerName, number>()
  readonly #surroundings: Surroundings
  readonly #disk = new Disk()
  readonly #database: Database
  readonly #core: ReplicaCore
  readonly #engine: Engine

  constructor(args: { id: ReplicaId; shape: Shape; genesis: Genesis; surroundings: Surroundings }) {
    const { id, shape, genesis } = args
    this.id = id
    this.#surroundings = args.surroundings
    this.#database = new Database(genesis)
    this.#core = ReplicaCore.recover({
      config: configOf(shape, genesis, id),
      crypto: cryptoOf(id),
      votes: [],
      database: this.#database.connect(),
      nextIncarnation: 1_000,
      evidence: [],
      servedFrom: 0 as Seq,
    })
    this.#engine = new Engine({ step: (event, nowMs) => this.#step(event, nowMs) }, this.#ports())
  }

  get position() {
    return this.#core.position
  }

  dispatch(event: Event): void {
    this.#engine.dispatch([event])
    while (this.#disk.pending > 0) this.#engine.onPersisted(this.#disk.persist(this.#disk.pending))
  }

  fire(timer: TimerName): void {
    this.timers.delete(timer)
    this.dispatch({ type: 'timeout', timer })
  }

  #step(event: Event, nowMs: number): readonly Effect[] {
    const effects = this.#core.step(event, nowMs)
    must(effects.length <= EFFECTS_MAX, `${effects.length} effects of one event`)
    return effects
  }

  #ports(): Ports {
    const { nowMs, send, isLiar } = this.#surroundings
    return {
      log: { append: (position, record) => this.#disk.append(position, record), flush: () => undefined },
      send: (to, message) => send(this.id, to, message),
      verify: (claims) => claims.map(isSigned),
      execute: (effect) => this.#cameOf(this.#database.execute(effect)),
      readState: () => undefined,
      readCommitted: ({ reader, ...range }) =>
        this.#cameOf([{ type: 'committed-read', reader, entries: this.#disk.readCommitted(range) }]),
      state: (effect) => this.#cameOf(this.#database.state(effect)),
      collectGarbage: (upTo) => this.#disk.cut(upTo),
      keepEvidence: ({ accused }) => this.#surroundings.onAccused(accused),
      setTimer: (timer, ms) => {
        this.timers.set(timer, nowMs() + ms)
      },
      stopTimer: (timer) => {
        this.timers.delete(timer)
      },
      observe: (what) => this.#observe(what),
      halt: ({ code, detail }) => {
        if (!isLiar) throw new Finding(`r${this.id} stops: ${code}: ${detail}`)
      },
      nowMs,
    }
  }

  #cameOf(events: readonly Event[]): void {
    if (events.length > 0) this.#engine.dispatch(events)
  }

  #observe(what: Observation): void {
    if (what.kind === 'executed' && !this.#surroundings.isLiar) {
      this.#surroundings.onExecuted(what.seq, what.chain)
    }
  }
}
