import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { encodeMessage } from '../../protocol/codec.ts'
import type { Message } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId, Seq } from '../../protocol/types.ts'
import { ReplicaCore } from '../../replica/core/core.ts'
import type { Effect, Observation, TimerName } from '../../replica/core/effect.ts'
import type { Event } from '../../replica/core/event.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import type { Packet } from '../../replica/runtime/adversary.ts'
import { Engine } from '../../replica/runtime/engine.ts'
import { checkCut, checkReply, provenUpTo, shownUpTo } from './check/durability-check.ts'
import type { EvidenceCheck } from './check/evidence-check.ts'
import type { PromiseCheck } from './check/promise-check.ts'
import type { ViewCheck } from './check/view-check.ts'
import type { Checks } from './checks.ts'
import { coreCryptoOf, verifyAll } from './core-crypto.ts'
import { describe, shorten } from './describe.ts'
import { SimExecutor } from './executor.ts'
import { coreConfigOf } from './genesis.ts'
import { Host } from './host.ts'
import type { Machine } from './machine.ts'
import type { Observer } from './observer.ts'
import type { Sabotage } from './sabotage.ts'
import { Timers } from './timers.ts'
import { Violation } from './violation.ts'
import { SimVoteLog } from './vote-log.ts'
import { EPOCH_US, type World } from './world.ts'

/** One process of a replica, from its start to its death: the production engine on simulated parts. */
export class ReplicaProcess extends Host {
  readonly replica: ReplicaId
  readonly #machine: Machine
  readonly #core: ReplicaCore
  readonly #engine: Engine
  readonly #log: SimVoteLog
  readonly #executor: SimExecutor
  /** Null for a liar: what its core promised and did is not what it said. */
  readonly #checks: Checks | null
  readonly #observer: Observer
  readonly #views: ViewCheck
  readonly #evidence: EvidenceCheck
  readonly #promises: PromiseCheck | null
  readonly #sabotage: Sabotage
  readonly #timers = new Timers<TimerName>({
    afterMs: (ms, work) => this.afterMs(ms, work),
    onTimeout: (timer) => this.dispatch([{ type: 'timeout', timer }]),
  })
  /** [D4] What reads must show at least: what the log proved at the start, then all that was executed. */
  #readFloor: number
  /** Whether something waits for the record that was written last. */
  #awaited = false

  constructor(args: {
    readonly world: World
    readonly machine: Machine
    readonly votes: readonly VoteRecord[]
    readonly checks: Checks
    readonly sabotage: Sabotage
  }) {
    const { world, machine, votes, checks, sabotage } = args
    const { replica, disk, database, clock } = machine
    super(world, replica, clock)
    this.replica = replica
    this.#machine = machine
    this.#checks = machine.adversary === null ? checks : null
    this.#observer = checks.observer
    this.#views = checks.views
    this.#evidence = checks.evidence
    this.#sabotage = sabotage
    this.#promises = checks.promisesOf(replica)
    this.#log = new SimVoteLog({
      disk,
      schedule: (delayUs, work) => this.later(delayUs, work),
      syncUs: () => this.#syncUs(),
      onPersisted: (upTo) => this.#guarded(() => this.#engine.onPersisted(upTo)),
    })
    this.#executor = this.#executorOn()
    const state = database.connect()
    this.#readFloor = Math.max(state.lastExecuted, shownUpTo(votes))
    const config = coreConfigOf(world.cast.genesis, world.plan, replica)
    const crypto = coreCryptoOf(world.cast, replica)
    const nextIncarnation = EPOCH_US + Math.floor(clock.nowMs * 1000)
    const { servedFrom } = disk
    this.#core = this.#guarded(() =>
      ReplicaCore.recover({
        config,
        crypto,
        votes,
        database: state,
        nextIncarnation,
        servedFrom,
        evidence: [...machine.evidence],
      }),
    )
    this.#engine = this.#engineOn()
    if (state.lastExecuted > 0 && votes.length > 0 && provenUpTo(votes) < state.lastExecuted) {
      world.happenings.count('database ahead of log')
    }
    const { nextSeq, frontier, primary } = this.#core.position
    if (primary === replica && nextSeq - 1 > frontier) {
      world.happenings.count('primary restarted with open slots')
    }
  }

  #syncUs(): number {
    const { random, plan } = this.world
    const { syncUs, slowSyncUs, slow } = plan.disk
    return (random.chance(slow) ? slowSyncUs : syncUs) * random.between(0.7, 2)
  }

  #executorOn(): SimExecutor {
    const { replica, world } = this
    const { database } = this.#machine
    return new SimExecutor(world, database, {
      schedule: (delayUs, work) => this.later(delayUs, work),
      onCommitted: (run, executed) => {
        // Outvoted, and repaired later: what it executes meanwhile is its own affair [CP6].
        if (this.#machine.isTampered) return
        const sum = database.store.sumOfBalances()
        this.#checks?.history.onCommitted(replica, run, { executed, sum })
      },
      onHeld: (state) => {
        const { isTampered } = this.#machine
        this.#checks?.history.onRoot(state, { replica, isTampered })
      },
      dispatch: (events) => this.#onExecutor(events),
      commit: (run, options) => {
        const perform = (given: typeof run) => database.store.executeSync(given, options)
        return this.#sabotage.execute?.(replica, run, perform) ?? perform(run)
      },
      failpoint: this.#machine.failpointHook,
    })
  }

  #engineOn(): Engine {
    const { world, replica } = this
    const { adversary, failpointHook } = this.#machine
    return new Engine(this.#core, {
      log: {
        append: (position, record, sync) => {
          this.#awaited = sync
          this.#log.append(position, record, sync)
          this.#views.onLogged(record)
        },
        flush: () => this.#log.flush(),
      },
      send: (to, message) => this.#send(to, message),
      verify: (claims) => {
        const valid = verifyAll(world.cast, claims)
        return this.#sabotage.verify?.(replica, claims, valid) ?? valid
      },
      execute: (effect) => this.#executor.execute(effect),
      readState: (effect) => this.#readState(effect),
      readCommitted: (effect) => this.#readCommitted(effect),
      state: (effect) => this.#executor.state(effect),
      collectGarbage: (upTo) => this.#cut(upTo),
      keepEvidence: (evidence) => {
        this.#machine.evidence.push(evidence)
        this.#evidence.onKept(this.replica, evidence)
      },
      setTimer: (timer, ms) => this.#timers.set(timer, ms),
      stopTimer: (timer) => this.#timers.clear(timer),
      observe: (what) => this.#observe(what),
      halt: (fault) => this.#machine.onHalt(`${fault.code} at ${fault.seq}: ${fault.detail}`),
      nowMs: () => this.nowMs,
      alter: (effects) => {
        const told = adversary?.effects(effects) ?? effects
        return this.#sabotage.effects?.(replica, told) ?? told
      },
      ...(failpointHook === undefined ? {} : { failpoint: failpointHook }),
    })
  }

  start(): void {
    this.connectToReplicas()
    this.dispatch([{ type: 'start' }])
    if (!this.alive) return
    this.#executor.start()
    this.turn()
  }

  get position() {
    return this.#core.position
  }

  get underWay(): readonly Buffer[] {
    return this.#log.underWay
  }

  /** Timers that run, for the report of a run that is stuck. */
  get timers(): readonly TimerName[] {
    return this.#timers.running
  }

  override kill(): void {
    super.kill()
    this.#engine.stop()
    this.#executor.disconnect()
  }

  /** What was sent is on the wire: a crash behind a send does not always take it back. */
  sendOut(): void {
    this.transmit()
  }

  /** The connection to the database breaks; the process tries again until it is back. */
  loseDatabase(): void {
    this.#executor.disconnect()
  }

  /** The events of one turn. */
  dispatch(events: readonly Event[]): void {
    this.#guarded(() => this.#engine.dispatch(events))
  }

  #onExecutor(events: readonly Event[]): void {
    for (const event of events) {
      if (event.type === 'executed') this.#readFloor = Math.max(this.#readFloor, event.seq)
      else if (event.type === 'state-installed') {
        this.#checks?.history.onInstalled(this.replica, event.database)
        this.#readFloor = Math.max(this.#readFloor, event.database.lastExecuted)
      } else if (event.type === 'database-connected') {
        if (event.database.lastExecuted < this.#core.position.lastExecuted)
          this.world.happenings.count('database behind')
      }
    }
    this.dispatch(events)
  }

  protected override onChannel(events: readonly ChannelEvent[]): void {
    const out: Event[] = []
    for (const event of events) {
      if (event.type === 'session-up' || event.type === 'session-down') {
        out.push({ type: event.type, peer: event.peer })
        this.world.happenings.count(event.type)
      } else if (event.type === 'message') {
        const message = this.decoded(event.from, event.message)
        if (message === null || this.#machine.adversary?.hears(event.from, message) === false) continue
        this.#observer.onReceived(this.replica, message, event.from)
        out.push({ type: 'message', from: event.from, message })
      } else this.world.happenings.count('lost by the channel', event.messages)
    }
    if (out.length > 0) this.dispatch(out)
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    if (to.length === 0) return
    this.#promises?.onWire(message)
    this.#checks?.evidence.onWire(this.replica, message)
    this.#views.onWire(this.replica, message)
    this.#checks?.certified.onWire(this.replica, message)
    if (message.type === 'reply' && this.#checks !== null && !this.#machine.isTampered) {
      const { disk, database } = this.#machine
      checkReply(message, { replica: this.replica, disk, database, history: this.#checks.history })
    }
    this.#observer.onSend(this.replica, message, to)
    const { trace, queue } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `r${this.replica} -> ${to.join(',')} ${describe(message)}`)
    const bytes = encodeMessage(message)
    const { adversary } = this.#machine
    for (const peer of to) {
      if (adversary === null) this.#transmit(peer, bytes)
      else
        for (const packet of adversary.wire(peer, message, [{ bytes, delayMs: 0 }])) this.#told(peer, packet)
    }
  }

  #told(peer: PrincipalId, { bytes, delayMs }: Packet): void {
    if (delayMs === 0) this.#transmit(peer, bytes)
    else this.afterMs(delayMs, () => this.#transmit(peer, bytes))
  }

  #transmit(peer: PrincipalId, bytes: Uint8Array): void {
    if (this.endpoint.send(peer, bytes, this.nowMs) === 'dropped') this.world.happenings.count('send dropped')
  }

  #readState({ to, nonce, accounts, atLeast }: Extract<Effect, { type: 'read-state' }>): void {
    this.#executor.read(accounts, atLeast, (state) => {
      if (state === undefined) return this.world.happenings.count('read unavailable')
      if (state.lastExecuted < this.#readFloor) {
        throw new Violation(
          'stale-read',
          `replica ${this.replica} answers a read from seq ${state.lastExecuted}, having shown ${this.#readFloor}`,
        )
      }
      this.#readFloor = state.lastExecuted
      this.#send([to], {
        type: 'read-reply',
        nonce,
        values: this.#sabotage.read?.(this.replica, state.values) ?? state.values,
      })
    })
  }

  #readCommitted({ reader, after, upTo, bytesMax }: Extract<Effect, { type: 'read-committed' }>): void {
    const delayUs = this.world.plan.disk.syncUs * this.world.random.between(0.5, 2)
    this.later(delayUs, () => {
      const entries = this.#machine.disk.readCommitted({ from: (after + 1) as Seq, upTo, bytesMax })
      this.world.happenings.count(
        reader === this.replica ? 'redo entries read' : 'catch-up entries read',
        entries.length,
      )
      this.dispatch([{ type: 'committed-read', reader, entries }])
    })
  }

  #cut(upTo: Seq): void {
    const { disk, database, failpointHook, isBehindLoss } = this.#machine
    checkCut(upTo, {
      replica: this.replica,
      disk,
      durableSeq: isBehindLoss ? upTo : database.store.durableSeq,
    })
    failpointHook?.('before-cut')
    if (!this.alive) return
    disk.cut(upTo)
    this.world.happenings.count('vote log cut')
    failpointHook?.('after-cut')
  }

  #observe(what: Observation): void {
    const { trace, queue, plan } = this.world
    if (trace.verbose) {
      trace.line(queue.nowUs, `r${this.replica} ${Object.values(what).map(shorten).join(' ')}`)
    }
    if (what.kind === 'repaired') this.#machine.onRepaired()
    if (what.kind === 'committed') this.#checks?.history.onAgreed(this.replica, what)
    const isHighest =
      what.kind === 'proposed' &&
      what.seq === this.#core.position.lowWaterMark + 2 * plan.cluster.checkpointInterval
    this.#observer.onObserved(this.replica, what, { isAwaited: this.#awaited, isHighest })
  }

  /** What the core throws is its own broken invariant, and names it. */
  #guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof Violation) throw error
      throw new Violation(
        'exception',
        `replica ${this.replica}: ${error instanceof Error ? error.message : error}`,
        {
          cause: error,
        },
      )
    }
  }
}
