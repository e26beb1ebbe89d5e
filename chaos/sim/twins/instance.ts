import type { Message } from '../../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../../protocol/types.ts'
import type { CoreConfig } from '../../../replica/core/config.ts'
import { ReplicaCore } from '../../../replica/core/core.ts'
import type { Fault, Observation, TimerName } from '../../../replica/core/effect.ts'
import type { Event } from '../../../replica/core/event.ts'
import { Engine } from '../../../replica/runtime/engine.ts'
import { coreCryptoOf, verifyAll } from '../core-crypto.ts'
import type { Database } from '../database.ts'
import { shorten } from '../describe.ts'
import type { Disk } from '../disk.ts'
import { SimExecutor } from '../executor.ts'
import { SimVoteLog } from '../vote-log.ts'
import { EPOCH_US } from '../world.ts'
import type { InstanceChecks } from './checks.ts'
import type { TwinWorld } from './world.ts'

type Send = (to: readonly PrincipalId[], message: Message) => void

/** One running of a replica: the production engine and core, with a vote log and a database of its own. */
export class Instance {
  /** Its place in the schedule's partitions. */
  readonly index: number
  readonly replica: ReplicaId
  readonly name: string
  readonly #disk: Disk
  readonly #database: Database
  readonly #world: TwinWorld
  readonly #checks: InstanceChecks
  readonly #send: Send
  readonly #core: ReplicaCore
  readonly #engine: Engine
  readonly #log: SimVoteLog
  readonly #executor: SimExecutor
  readonly #timers = new Map<TimerName, number>()
  #timerOrdinal = 0
  isHalted = false

  constructor(args: {
    readonly world: TwinWorld
    readonly config: CoreConfig
    readonly index: number
    readonly name: string
    readonly disk: Disk
    readonly database: Database
    readonly checks: InstanceChecks
    readonly send: Send
  }) {
    const { world, config, index, name } = args
    this.#world = world
    this.#checks = args.checks
    this.#send = args.send
    this.index = index
    this.replica = config.self
    this.name = name
    this.#disk = args.disk
    this.#database = args.database
    this.#log = new SimVoteLog({
      disk: this.#disk,
      schedule: (delayUs, work) => this.#later(delayUs, work),
      syncUs: () => world.plan.disk.syncUs,
      onPersisted: (upTo) => this.#guarded(() => this.#engine.onPersisted(upTo)),
    })
    this.#executor = this.#executorOn()
    const { votes } = this.#disk.recover()
    this.#core = ReplicaCore.recover({
      config,
      crypto: coreCryptoOf(world.cast, config.self),
      votes,
      database: this.#database.connect(),
      nextIncarnation: EPOCH_US,
      servedFrom: this.#disk.servedFrom,
      evidence: [],
    })
    this.#engine = this.#engineOn()
  }

  get position() {
    return this.#core.position
  }

  /** Whether it waits for a primary: without that it never leaves its view by itself. */
  get isImpatient(): boolean {
    return this.#timers.has('view-change')
  }

  start(peers: readonly ReplicaId[]): void {
    this.#dispatch([{ type: 'start' }, ...peers.map((peer): Event => ({ type: 'session-up', peer }))])
  }

  receive(from: PrincipalId, message: Message): void {
    if (!this.isHalted) this.#dispatch([{ type: 'message', from, message }])
  }

  #executorOn(): SimExecutor {
    const database = this.#database
    const checks = this.#checks
    return new SimExecutor(this.#world, database, {
      schedule: (delayUs, work) => this.#later(delayUs, work),
      onCommitted: (run, executed) =>
        checks.onExecuted(run, { executed, sum: database.store.sumOfBalances() }),
      onHeld: (state) => checks.onHeld(state),
      dispatch: (events) => this.#onExecutor(events),
      commit: (run, options) => database.store.executeSync(run, options),
      failpoint: undefined,
    })
  }

  #engineOn(): Engine {
    const { cast, plan, queue } = this.#world
    const checks = this.#checks
    return new Engine(this.#core, {
      log: {
        append: (position, record, sync) => {
          this.#log.append(position, record, sync)
          checks.onLogged(record)
        },
        flush: () => this.#log.flush(),
      },
      send: (to, message) => {
        if (to.length === 0) return
        checks.onSend(message)
        this.#send(to, message)
      },
      verify: (claims) => verifyAll(cast, claims),
      execute: (effect) => this.#executor.execute(effect),
      readState: () => {
        throw new Error('no client reads here')
      },
      readCommitted: ({ reader, after, upTo, bytesMax }) =>
        this.#later(plan.disk.syncUs, () => {
          const entries = this.#disk.readCommitted({ from: (after + 1) as Seq, upTo, bytesMax })
          this.#dispatch([{ type: 'committed-read', reader, entries }])
        }),
      state: (effect) => this.#executor.state(effect),
      collectGarbage: (upTo) => {
        checks.onCut(upTo)
        this.#disk.cut(upTo)
      },
      keepEvidence: (evidence) => checks.onEvidence(evidence),
      setTimer: (timer, ms) => this.#setTimer(timer, ms),
      stopTimer: (timer) => {
        this.#timers.delete(timer)
      },
      observe: (what) => this.#observe(what),
      halt: (fault) => this.#halt(fault),
      nowMs: () => queue.nowUs / 1_000,
    })
  }

  #onExecutor(events: readonly Event[]): void {
    for (const event of events) {
      if (event.type === 'state-installed') this.#checks.onInstalled(event.database)
    }
    this.#dispatch(events)
  }

  #dispatch(events: readonly Event[]): void {
    this.#guarded(() => this.#engine.dispatch(events))
  }

  #observe(what: Observation): void {
    const { trace, queue } = this.#world
    if (trace.verbose) trace.line(queue.nowUs, `${this.name} ${Object.values(what).map(shorten).join(' ')}`)
    this.#checks.onObserved(what, this.#core.position.view)
  }

  #setTimer(timer: TimerName, ms: number): void {
    this.#timerOrdinal += 1
    const armed = this.#timerOrdinal
    this.#timers.set(timer, armed)
    this.#later(ms * 1_000, () => {
      if (this.#timers.get(timer) !== armed) return
      this.#timers.delete(timer)
      this.#dispatch([{ type: 'timeout', timer }])
    })
  }

  #later(delayUs: number, work: () => void): void {
    this.#world.queue.after(delayUs, () => {
      if (!this.isHalted) work()
    })
  }

  #halt({ code, seq, detail }: Fault): void {
    this.#stop()
    this.#checks.onHalt(`${code} at ${seq}: ${detail}`)
  }

  #stop(): void {
    this.isHalted = true
    this.#timers.clear()
    this.#engine.stop()
  }

  /** What the core throws is its own broken invariant. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#stop()
      this.#checks.onThrow(error)
    }
  }
}
