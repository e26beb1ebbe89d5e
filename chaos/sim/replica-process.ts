import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../../protocol/codec.ts'
import type { Message, Reply } from '../../protocol/messages.ts'
import { batchDigestOf, signedBytes } from '../../protocol/signing.ts'
import {
  assertNever,
  type LogPosition,
  type PrincipalId,
  type ReplicaId,
  type Seq,
} from '../../protocol/types.ts'
import { ReplicaCore } from '../../replica/core/core.ts'
import type { Claim, Effect, Observation } from '../../replica/core/effect.ts'
import type { Event } from '../../replica/core/event.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import { checkReply, provenUpTo } from './check/reply-check.ts'
import type { Checks } from './checks.ts'
import type { Database } from './database.ts'
import { describe, shorten } from './describe.ts'
import type { Disk } from './disk.ts'
import { SimExecutor } from './executor.ts'
import { coreConfigOf } from './genesis.ts'
import { Host } from './host.ts'
import type { Sabotage } from './sabotage.ts'
import { Violation } from './violation.ts'
import { SimVoteLog } from './vote-log.ts'
import type { World } from './world.ts'

type Held = { readonly after: LogPosition; readonly to: readonly PrincipalId[]; readonly message: Message }

/** One process of a replica, from its start to its death: production's event -> step -> perform on simulated parts. */
export class ReplicaProcess extends Host {
  readonly replica: ReplicaId
  readonly #core: ReplicaCore
  readonly #log: SimVoteLog
  readonly #executor: SimExecutor
  readonly #disk: Disk
  readonly #checks: Checks
  readonly #sabotage: Sabotage
  readonly #clusterId: Buffer
  /** [D4] What reads must show at least: what the log proved at the start, then all that was executed. */
  #readFloor: number
  #held: Held[] = []
  #durable = 0
  #timer = 0
  /** Whether something waits for the record that was written last. */
  #awaited = false

  constructor(args: {
    readonly world: World
    readonly replica: ReplicaId
    readonly disk: Disk
    readonly database: Database
    readonly votes: readonly VoteRecord[]
    readonly checks: Checks
    readonly sabotage: Sabotage
  }) {
    const { world, replica, disk, votes, checks, sabotage } = args
    super(world, replica)
    this.replica = replica
    this.#disk = disk
    this.#checks = checks
    this.#sabotage = sabotage
    this.#clusterId = Buffer.from(world.cast.genesis.clusterId, 'hex')
    const { syncUs, slowSyncUs, slow } = world.plan.disk
    this.#log = new SimVoteLog({
      disk,
      schedule: (delayUs, work) => this.later(delayUs, work),
      syncUs: () => (world.random.chance(slow) ? slowSyncUs : syncUs) * world.random.between(0.7, 2),
      onPersisted: (upTo) => this.#onPersisted(upTo),
    })
    this.#executor = new SimExecutor(world, args.database, {
      schedule: (delayUs, work) => this.later(delayUs, work),
      onCommitted: (run, executed) => {
        const sum = args.database.store.sumOfBalances()
        checks.history.onCommitted(replica, run, { executed, sum })
      },
      onExecuted: ({ seq, chain, lanes }) => {
        this.#readFloor = Math.max(this.#readFloor, seq)
        this.dispatch([{ type: 'executed', seq, chain, lanes }])
      },
      onConnected: (database) => {
        if (database.lastExecuted < this.#core.position.lastExecuted)
          world.happenings.count('database behind')
        this.dispatch([{ type: 'database-connected', database }])
      },
      commit: (run, options) => {
        const perform = (given: typeof run) => args.database.store.executeSync(given, options)
        return sabotage.execute?.(replica, run, perform) ?? perform(run)
      },
    })
    const state = args.database.connect()
    this.#readFloor = Math.max(state.lastExecuted, provenUpTo(votes))
    if (votes.every((record) => record.kind !== 'committed' || record.seq < state.lastExecuted)) {
      if (state.lastExecuted > 0 && votes.length > 0) world.happenings.count('database ahead of log')
    }
    this.#core = this.#guarded(() =>
      ReplicaCore.recover({
        config: coreConfigOf(world.cast.genesis, world.plan, replica),
        crypto: {
          sign: (statement) => this.#sign(signedBytes(this.#clusterId, statement)),
          batchDigest: batchDigestOf,
        },
        votes,
        database: state,
      }),
    )
    const { nextSeq, frontier } = this.#core.position
    if (this.#core.position.primary === replica && nextSeq - 1 > frontier) {
      world.happenings.count('primary restarted with open slots')
    }
  }

  start(): void {
    this.connectToReplicas()
    this.dispatch([{ type: 'start' }])
    this.turn()
  }

  get position() {
    return this.#core.position
  }

  get underWay(): readonly Buffer[] {
    return this.#log.underWay
  }

  override kill(): void {
    super.kill()
    this.#executor.disconnect()
  }

  /** The connection to the database breaks; the process tries again until it is back. */
  loseDatabase(): void {
    this.#executor.disconnect()
  }

  /** The events of one turn; the log is flushed behind them, so that they share an fsync. */
  dispatch(events: readonly Event[]): void {
    const queue = [...events]
    for (let event = queue.shift(); event !== undefined && this.alive; event = queue.shift()) {
      const current = event
      const stepped = this.#guarded(() => this.#core.step(current, this.nowMs))
      const effects = this.#sabotage.effects?.(this.replica, stepped) ?? stepped
      for (const effect of effects) this.#perform(effect, queue)
    }
    this.#log.flush()
  }

  protected override onChannel(events: readonly ChannelEvent[]): void {
    const out: Event[] = []
    for (const event of events) {
      if (event.type === 'session-up' || event.type === 'session-down') {
        out.push({ type: event.type, peer: event.peer })
        this.world.happenings.count(event.type)
      } else if (event.type === 'message') {
        const message = decodeMessage(event.message)
        if (isMalformed(message))
          throw new Violation('exception', `a correct peer sent: ${message.malformed}`)
        out.push({ type: 'message', from: event.from, message })
      } else this.world.happenings.count('lost by the channel', event.messages)
    }
    if (out.length > 0) this.dispatch(out)
  }

  #perform(effect: Effect, queue: Event[]): void {
    switch (effect.type) {
      case 'persist':
        this.#awaited = effect.sync
        return this.#log.append(effect.position, effect.record, effect.sync)
      case 'send':
        if (effect.after === undefined || effect.after <= this.#durable)
          return this.#send(effect.to, effect.message)
        this.#held.push({ after: effect.after, to: effect.to, message: effect.message })
        return
      case 'verify':
        queue.unshift({
          type: 'verified',
          check: effect.check,
          valid: effect.claims.map((claim) => this.#verify(claim)),
        })
        return
      case 'execute':
        return this.#executor.execute(effect)
      case 'read-state':
        return this.#readState(effect)
      case 'read-committed':
        return this.#readCommitted(effect)
      case 'set-timer':
        return this.#arm(effect)
      case 'observe':
        return this.#observe(effect.what)
      case 'halt':
        throw new Violation(
          'halted',
          `replica ${this.replica}: ${effect.fault.code} at ${effect.fault.seq}: ${effect.fault.detail}`,
        )
      default:
        return assertNever(effect)
    }
  }

  #onPersisted(upTo: LogPosition): void {
    this.#durable = upTo
    const due = this.#held.filter(({ after }) => after <= upTo)
    this.#held = this.#held.filter(({ after }) => after > upTo)
    for (const { to, message } of due) this.#send(to, message)
    this.dispatch([{ type: 'persisted', upTo }])
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    this.#checks.promises[this.replica]?.onWire(message)
    if (message.type === 'reply') this.#onReply(message)
    const { trace, queue } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `r${this.replica} -> ${to.join(',')} ${describe(message)}`)
    const bytes = encodeMessage(this.#lying(message))
    for (const peer of to) {
      if (this.endpoint.send(peer, bytes, this.nowMs) === 'dropped')
        this.world.happenings.count('send dropped')
    }
  }

  #lying(message: Message): Message {
    if (message.type !== 'commit' || this.world.plan.liar !== this.replica) return message
    return { ...message, signature: message.signature.map((byte) => byte ^ 0x55) }
  }

  #onReply(reply: Reply): void {
    this.world.happenings.count(`reply ${reply.outcome.kind}`)
    checkReply(reply, { replica: this.replica, disk: this.#disk, history: this.#checks.history })
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
      const entries = this.#disk.readCommitted({ from: (after + 1) as Seq, upTo, bytesMax })
      this.world.happenings.count(
        reader === this.replica ? 'redo entries read' : 'catch-up entries read',
        entries.length,
      )
      this.dispatch([{ type: 'committed-read', reader, entries }])
    })
  }

  #arm({ timer, ms }: Extract<Effect, { type: 'set-timer' }>): void {
    this.#timer += 1
    const armed = this.#timer
    this.later(Math.ceil(ms * 1000) + 1, () => {
      if (armed === this.#timer) this.dispatch([{ type: 'timeout', timer }])
    })
  }

  #verify({ statement, signature }: Claim): boolean {
    const { identities, suite } = this.world.cast
    const publicKey = identities.get(statement.signer)?.publicKey
    if (publicKey === undefined) return false
    return suite.verifier.verify({ publicKey, bytes: signedBytes(this.#clusterId, statement), signature })
  }

  #sign(bytes: Uint8Array): Uint8Array {
    const identity = this.world.cast.identities.get(this.replica)
    if (identity === undefined) throw new Error(`replica ${this.replica} has no key`)
    return identity.signer.sign(bytes)
  }

  #observe(what: Observation): void {
    const { happenings, trace, queue, plan } = this.world
    if (trace.verbose) {
      trace.line(queue.nowUs, `r${this.replica} ${Object.values(what).map(shorten).join(' ')}`)
    }
    switch (what.kind) {
      case 'committed':
        happenings.count(`committed by ${what.how}`)
        if (what.how === 'votes' && this.#awaited) happenings.count('unprepared commit')
        if (this.#checks.isIdle() && what.how !== 'votes') happenings.count('idle catch-up')
        return
      case 'rejected':
        return happenings.count(`rejected ${what.code}`)
      case 'proposed': {
        const { lowWaterMark } = this.#core.position
        if (what.seq === lowWaterMark + 2 * plan.cluster.checkpointInterval)
          happenings.count('high water mark reached')
        return
      }
      case 'stable':
      case 'caught-up':
        return happenings.count(what.kind)
      case 'accepted':
      case 'prepared':
      case 'executed':
        return
      default:
        return assertNever(what)
    }
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
