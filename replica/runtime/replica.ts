import type { Logger } from 'pino'
import { PostgresStore } from '../../db/postgres/store.ts'
import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { type Clock, systemClock } from '../../protocol/clock.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../protocol/codec.ts'
import { ConfigError, logWindowOf } from '../../protocol/config.ts'
import { sodiumVerifier } from '../../protocol/crypto.ts'
import type { RunningEndpoint } from '../../protocol/endpoint-driver.ts'
import type { ReplicaReport } from '../../protocol/inspection.ts'
import type { Evidence, Message } from '../../protocol/messages.ts'
import { isReplica, type PrincipalId, type ReplicaId, replicaId, type Seq } from '../../protocol/types.ts'
import { ReplicaCore } from '../core/core.ts'
import type { Effect, Observation } from '../core/effect.ts'
import type { DatabaseState, Event } from '../core/event.ts'
import { Disguise, type MakeAdversary, type Packet } from './adversary.ts'
import { type Bundle, bundlePaths } from './bundle.ts'
import { openChannel } from './channel.ts'
import type { ControlAnswer, Controls } from './control.ts'
import { coreConfigOf, coreCryptoOf } from './core-wiring.ts'
import type { ReplicaDatabase } from './database.ts'
import { type Intervals, readDatabase } from './database-state.ts'
import { Engine, type Ports } from './engine.ts'
import { EvidenceFiles } from './evidence-files.ts'
import { Executor } from './executor.ts'
import type { FailpointHook } from './failpoints.ts'
import { Journal } from './journal.ts'
import type { MessageTrace } from './message-trace.ts'
import { Meters } from './meters.ts'
import { ReplicaFault } from './replica-fault.ts'
import { reportOf } from './report.ts'
import { Scrubber } from './scrubber.ts'
import { StateWork } from './state-work.ts'
import { Timers } from './timers.ts'
import { Principals, verifyClaims } from './verifier.ts'
import type { OpenedLog } from './vote-log/vote-log.ts'

export type RunningReplica = {
  readonly id: ReplicaId
  readonly address: string
  report(): ReplicaReport
  /** One line of what a chaos run asks of this process; refused without `controls`. */
  control(line: string): ControlAnswer
}

export type ReplicaOptions = {
  readonly bundleDirectory: string
  readonly log: Logger
  /** What the operator should know although the replica serves. */
  readonly onNotice: (text: string) => void
  /** Called once, when the replica cannot go on; `stop` is still the caller's. */
  readonly onFatal: (error: Error) => void
  /** Segments that are cut off the vote log are kept. */
  readonly archive?: boolean
  /** For tests of power loss: the vote log says beside itself what of it is synced. */
  readonly noteSynced?: boolean
  readonly failpoint?: FailpointHook
  /** Faults that this replica plays on itself when it is told to. */
  readonly controls?: Controls | undefined
  readonly trace?: MessageTrace | undefined
  /** For replicas that may be told to lie; without it they cannot. */
  readonly makeAdversary?: MakeAdversary | undefined
  /** What it does from the start; needs `makeAdversary`. */
  readonly byzantine?: string | undefined
}

/** What exists once the database said where it stands. */
type Parts = {
  readonly core: ReplicaCore
  readonly engine: Engine
  readonly executor: Executor
  readonly state: StateWork
  readonly scrubber: Scrubber
  readonly journal: Journal
}

/** Puts the parts of one replica process together: socket, log, database and core around one engine. */
export class Replica {
  readonly #bundle: Bundle
  readonly #options: ReplicaOptions
  readonly #votes: OpenedLog
  readonly #database: ReplicaDatabase
  readonly #store: PostgresStore
  readonly #meters = new Meters()
  readonly #principals: Principals
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #self: ReplicaId
  readonly #disguise: Disguise | undefined
  readonly #evidence: EvidenceFiles
  readonly #startedMs = performance.now()
  #parts: Parts | undefined
  #endpoint: RunningEndpoint | undefined
  #failed = false
  /** Events of this turn; dispatched together so that they share one fsync. */
  #turn: Event[] = []

  constructor(args: {
    readonly bundle: Bundle
    readonly options: ReplicaOptions
    readonly votes: OpenedLog
    readonly database: ReplicaDatabase
  }) {
    this.#bundle = args.bundle
    this.#options = args.options
    this.#clock = args.options.controls?.clock ?? systemClock
    this.#timers = new Timers((timer) => this.#enqueue({ type: 'timeout', timer }), this.#clock)
    this.#votes = args.votes
    this.#database = args.database
    this.#self = replicaId(args.bundle.own.id)
    this.#principals = new Principals(args.bundle.genesis)
    this.#disguise = this.#disguiseOf(args.options)
    this.#evidence = new EvidenceFiles({
      directory: bundlePaths(args.bundle.directory).evidence,
      genesis: args.bundle.genesis,
      onNotice: args.options.onNotice,
    })
    this.#store = new PostgresStore({
      url: args.database.url,
      genesis: args.bundle.genesis,
      replica: this.#self,
      onCheckpointsLost: () => this.#enqueue({ type: 'checkpoints-lost' }),
    })
  }

  /** @throws ConfigError */
  #disguiseOf({ makeAdversary: make, byzantine = '' }: ReplicaOptions): Disguise | undefined {
    if (make === undefined) return undefined
    const config = coreConfigOf(this.#bundle, this.#principals)
    const liar = { config, crypto: coreCryptoOf(this.#bundle), random: Math.random }
    const disguise = new Disguise({ make, liar, allowByzantine: this.#bundle.genesis.allowByzantine })
    try {
      disguise.wear(byzantine)
    } catch (cause) {
      throw new ConfigError(`--byzantine: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      })
    }
    return disguise
  }

  get #intervals(): Intervals {
    const { parameters } = this.#bundle.genesis
    return { checkpointInterval: parameters.checkpointInterval, logWindow: logWindowOf(parameters) }
  }

  /** Recovers the core, opens the socket and starts. */
  async serve(): Promise<void> {
    const database = await readDatabase(this.#store, this.#intervals)
    const parts = this.#assemble(database, await this.#evidence.load())
    this.#parts = parts
    const { log, stats } = this.#votes
    log.onPersisted = (upTo) => this.#attempt(() => parts.engine.onPersisted(upTo))
    log.onFailure = (error) => this.#fail(error)
    log.onDamage = (error) => this.#options.onNotice(error.message)
    this.#endpoint = await openChannel(this.#bundle, {
      principals: this.#principals,
      clock: this.#clock,
      onEvents: (events) => this.#onChannel(events),
    })
    const { lastExecuted, lowWaterMark } = parts.core.position
    this.#options.log.info(
      { ...stats, lastExecuted, lowWaterMark, address: this.#endpoint.address },
      'serving',
    )
    this.#enqueue({ type: 'start' })
    parts.executor.start()
  }

  #assemble(database: DatabaseState, evidence: readonly Evidence[]): Parts {
    const executor = this.#executor(database.lastExecuted)
    const onEvent = (event: Event) => this.#enqueue(event)
    const guard = (work: Promise<void>) => this.#guard(work)
    const { failpoint } = this.#options
    const state = new StateWork({ store: this.#store, executor, onEvent, guard, failpoint })
    const scrubber = new Scrubber({
      store: this.#store,
      executor,
      intervalMs: this.#bundle.cluster.tuning.scrubIntervalMs,
      onMismatched: (rows) => this.#enqueue({ type: 'rows-mismatched', rows }),
      guard,
      clock: this.#clock,
    })
    const core = ReplicaCore.recover({
      config: coreConfigOf(this.#bundle, this.#principals),
      crypto: coreCryptoOf(this.#bundle),
      votes: this.#votes.recovered,
      database,
      // [D5] Above every incarnation that this replica had, on a clock that is not set back.
      nextIncarnation: this.#clock.wallClockUs(),
      servedFrom: this.#votes.log.servedFrom(),
      evidence,
    })
    const engine = new Engine(core, this.#ports({ executor, state }))
    const journal = new Journal({
      log: this.#options.log,
      lastExecuted: database.lastExecuted,
      takeFetched: () => state.takeFetched(),
    })
    return { core, engine, executor, state, scrubber, journal }
  }

  #executor(lastExecuted: Seq): Executor {
    return new Executor({
      store: this.#store,
      lastExecuted,
      intervals: this.#intervals,
      failpoint: this.#options.failpoint,
      reopen: () => this.#database.reopen(),
      events: {
        onEvent: (event) => {
          if (event.type === 'database-connected') {
            this.#options.log.info({ lastExecuted: event.database.lastExecuted }, 'database reached again')
            this.#parts?.journal.onDatabase(event.database.lastExecuted)
          }
          this.#enqueue(event)
          if (event.type === 'checkpoint-taken') this.#parts?.scrubber.look()
        },
        onDisconnected: (error) => {
          this.#options.log.warn({ error: error.message }, 'database lost; reconnecting')
          this.#parts?.state.onDisconnected()
          this.#parts?.scrubber.onDisconnected()
        },
        onFatal: (error) => this.#fail(error),
      },
    })
  }

  #ports({ executor, state }: Pick<Parts, 'executor' | 'state'>): Ports {
    const clusterId = Buffer.from(this.#bundle.genesis.clusterId, 'hex')
    const trust = { principals: this.#principals, verifier: sodiumVerifier, clusterId }
    return {
      log: this.#votes.log,
      send: (to, message) => this.#send(to, message),
      verify: (claims) => verifyClaims(claims, trust),
      execute: ({ seq, batch }) => {
        this.#meters.executing(batch)
        executor.execute({ seq, batch })
      },
      readState: (effect) => this.#guard(this.#readState(effect, executor)),
      readCommitted: (effect) => this.#guard(this.#readCommitted(effect)),
      state: (effect) => state.perform(effect),
      collectGarbage: (upTo) => this.#guard(this.#cut(upTo)),
      keepEvidence: (evidence) => this.#guard(this.#evidence.keep(evidence)),
      setTimer: (timer, ms) => this.#timers.set(timer, ms),
      stopTimer: (timer) => this.#timers.stop(timer),
      observe: (what) => this.#observe(what),
      halt: (fault) => this.#fail(new ReplicaFault(fault)),
      nowMs: () => this.#clock.nowMs(),
      failpoint: this.#options.failpoint,
      ...(this.#disguise === undefined
        ? {}
        : { alter: (effects) => this.#disguise?.effects(effects) ?? effects }),
    }
  }

  #observe(what: Observation): void {
    this.#meters.observe(what)
    this.#parts?.journal.observe(what)
    this.#options.trace?.observe(what)
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    const { controls, trace } = this.#options
    const bytes = encodeMessage(message)
    for (const peer of to) {
      if (controls !== undefined && !controls.sends.passes(peer, message)) continue
      trace?.message('sent', peer, message)
      this.#meters.sending(message.type)
      if (this.#disguise === undefined) this.#endpoint?.send(peer, bytes)
      else for (const packet of this.#disguise.wire(peer, message, bytes)) this.#sendPacket(peer, packet)
    }
  }

  #sendPacket(peer: PrincipalId, { bytes, delayMs }: Packet): void {
    if (delayMs === 0) this.#endpoint?.send(peer, bytes)
    else setTimeout(() => this.#endpoint?.send(peer, bytes), delayMs).unref()
  }

  /** Work beside the core: what goes wrong there stops the replica, too. */
  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#fail(error instanceof Error ? error : new Error(String(error))))
  }

  async #readState(
    { to, nonce, accounts, atLeast }: Extract<Effect, { type: 'read-state' }>,
    executor: Executor,
  ): Promise<void> {
    const values = await executor.read(accounts, atLeast)
    if (values === undefined) return this.#meters.count('read-unavailable')
    this.#send([to], { type: 'read-reply', nonce, values })
  }

  async #readCommitted(effect: Extract<Effect, { type: 'read-committed' }>): Promise<void> {
    const { reader, after, upTo, bytesMax } = effect
    const entries = await this.#votes.log.readCommitted({ from: (after + 1) as Seq, upTo, bytesMax })
    this.#enqueue({ type: 'committed-read', reader, entries })
  }

  async #cut(upTo: Seq): Promise<void> {
    const { failpoint } = this.#options
    failpoint?.('before-cut')
    await this.#votes.log.cut(upTo)
    failpoint?.('after-cut')
  }

  #onChannel(events: readonly ChannelEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'message':
          this.#onMessage(event.from, event.message)
          break
        case 'session-up':
        case 'session-down':
          if (isReplica(event.peer)) this.#options.log.info({ peer: event.peer }, event.type)
          this.#turn.push({ type: event.type, peer: event.peer })
          break
        case 'lost':
          // What a peer lacks it asks for by STATUS.
          this.#meters.count('lost-by-channel')
          break
      }
    }
    // At once, so that what is said to them leaves before this turn ends.
    this.#dispatch()
  }

  #onMessage(from: PrincipalId, bytes: Uint8Array): void {
    if (this.#parts?.core.hears(from) === false) return this.#meters.count('unheard-message')
    const message = decodeMessage(bytes)
    if (isMalformed(message)) return this.#meters.count('malformed-message')
    if (this.#disguise?.hears(from, message) === false) return
    if (message.type !== 'inspect') {
      this.#options.trace?.message('received', from, message)
      this.#turn.push({ type: 'message', from, message })
      return
    }
    const report = JSON.stringify(this.running().report())
    this.#endpoint?.send(from, encodeMessage({ type: 'inspection', nonce: message.nonce, report }))
  }

  #enqueue(event: Event): void {
    this.#turn.push(event)
    if (this.#turn.length === 1) queueMicrotask(() => this.#dispatch())
  }

  #dispatch(): void {
    const events = this.#turn
    if (events.length === 0) return
    this.#turn = []
    this.#attempt(() => this.#parts?.engine.dispatch(events))
  }

  /** The core throws when this replica broke a rule of its own: it stops before anybody can see it. */
  #attempt(step: () => void): void {
    if (this.#failed) return
    try {
      step()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.#halt()
    this.#options.onFatal(error)
  }

  running(): RunningReplica {
    return {
      id: this.#self,
      address: this.#endpoint?.address ?? '',
      report: () => this.#report(),
      control: (line) => this.#control(line),
    }
  }

  #control(line: string): ControlAnswer {
    const { controls } = this.#options
    if (controls === undefined || this.#disguise === undefined)
      return { error: 'this replica runs without --control' }
    const { allowByzantine } = this.#bundle.genesis
    return controls.perform(line, { allowByzantine, disguise: this.#disguise })
  }

  #report(): ReplicaReport {
    const parts = this.#parts
    const endpoint = this.#endpoint
    if (parts === undefined || endpoint === undefined)
      throw new Error('a replica that does not serve was asked')
    const peers = this.#bundle.cluster.replicas.map(({ id }) => id).filter((id) => id !== this.#self)
    return reportOf({
      replica: this.#self,
      startedMs: this.#startedMs,
      position: parts.core.position,
      evidence: this.#evidence.listed(parts.core.evidence),
      peers: peers.filter((id) => endpoint.isUp(replicaId(id))),
      database: this.#database,
      databaseConnected: parts.executor.connected,
      meters: this.#meters,
      channelCounters: endpoint.counters(),
    })
  }

  /** Nothing more is stepped, said or written. */
  #halt(): void {
    this.#failed = true
    this.#timers.stopAll()
    this.#parts?.engine.stop()
    this.#parts?.scrubber.stop()
  }

  async close(): Promise<void> {
    this.#halt()
    await this.#endpoint?.close()
    await (this.#parts?.executor ?? this.#store).close()
  }
}
