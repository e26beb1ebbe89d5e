import type { Message } from '../protocol/messages.ts'
import type { AccountId, Operation, RequestName } from '../protocol/operations.ts'
import type { PrincipalId } from '../protocol/types.ts'
import { assertNever } from '../protocol/types.ts'
import { balanceOperations } from './answers.ts'
import { type Call, Calls } from './calls.ts'
import type { ClientConfig, ClientContext, ClientDeps } from './context.ts'
import type { CallId, ClientEffect, ClientEvent, Clock, TimerName } from './effects.ts'
import { ClientError, InvalidArgumentError, NotSentError, UnavailableError } from './errors.ts'
import { Lanes } from './lanes.ts'
import { Latency } from './latency.ts'
import { OperationQueue } from './operation-queue.ts'
import { Outcomes } from './outcomes.ts'
import { Reads } from './reads.ts'
import { Replicas } from './replicas.ts'
import { type RequestSize, requestRoomOf, sizeOf } from './request-size.ts'

/** A lane cannot be fenced above a number that leaves no room for more; microseconds get here in the year 2112. */
const LOOKUP_NUMBER_MAX = 2 ** 52

/**
 * The client's side of the protocol [NC1] [NC5] [NC6] [NC7]: synchronous and deterministic, without clock, sockets
 * or randomness of its own, so that the simulator drives the same class as production.
 *
 * `submit`, `read` and `lookup` only note what is wanted, and `step` only what was heard; `flush` sends. Its caller
 * runs it once after all that a turn of its event loop brought: what was called in one turn then shares a request,
 * and callers that were just answered are back with their next call.
 */
export class ClientCore {
  readonly #context: ClientContext
  readonly #effects: ClientEffect[] = []
  readonly #room: RequestSize
  readonly #queue: OperationQueue
  readonly #lanes: Lanes
  readonly #reads: Reads

  /** @throws RangeError when the limits contradict genesis: our own configuration is wrong. */
  constructor(config: ClientConfig, deps: ClientDeps) {
    const { lanes, lanesPerClientMax } = config
    if (lanes < 1 || lanes > lanesPerClientMax) {
      throw new RangeError(`lanes must be 1 to ${lanesPerClientMax}, not ${lanes}`)
    }
    this.#context = {
      config,
      deps,
      effects: this.#effects,
      replicas: new Replicas(config.replicas),
      calls: new Calls(this.#effects),
      latency: new Latency(config),
      outcomes: new Outcomes(config.outcomesMax),
    }
    this.#room = requestRoomOf(config)
    this.#queue = new OperationQueue(config.queueOperationsMax)
    this.#lanes = new Lanes(this.#context, this.#queue)
    this.#reads = new Reads(this.#context, (call, accounts) => this.#orderRead(call, accounts))
  }

  /**
   * Operations that travel in one request and have a result each; resolves with `results`. Calls that overlap have
   * no order among themselves. `deadlineMs` is a time on the clock of `nowMs`, as everywhere here.
   * @throws InvalidArgumentError when they cannot travel @throws OverloadedError; nothing is queued then
   */
  submit(operations: readonly Operation[], deadlineMs: number): CallId {
    const size = sizeOf(operations, this.#room)
    return this.#open(
      deadlineMs,
      (why) => new NotSentError(why),
      (call) => this.#queue.push({ call, operations, size, isRead: false }),
    )
  }

  /**
   * [NC7] Balances of one state, resolves with `values` in the order of `accounts`.
   * @throws InvalidArgumentError @throws OverloadedError
   */
  read(accounts: readonly AccountId[], deadlineMs: number): CallId {
    const { readAccountsMax, requestOperationsMax } = this.#context.config
    const max = Math.min(readAccountsMax, requestOperationsMax)
    if (accounts.length === 0 || accounts.length > max) {
      throw new InvalidArgumentError(`a read takes 1 to ${max} accounts, not ${accounts.length}`)
    }
    // It may have to go as a request.
    sizeOf(balanceOperations(accounts), this.#room)
    return this.#open(
      deadlineMs,
      (why) => new UnavailableError('read', why),
      (call) => this.#reads.push(call, accounts),
    )
  }

  /**
   * [NC5] What became of a request of this client, of this process or an earlier one; resolves with `outcome`. Not
   * executed yet, it is fenced and never will be.
   * @throws InvalidArgumentError
   */
  lookup(name: RequestName, deadlineMs: number): CallId {
    const { client, lanesPerClientMax } = this.#context.config
    if (name.client !== client) {
      throw new InvalidArgumentError(
        `the request is client ${name.client}'s; only it can look it up, not ${client}`,
      )
    }
    if (name.lane >= lanesPerClientMax || name.number > LOOKUP_NUMBER_MAX) {
      throw new InvalidArgumentError('no request of this cluster has that name')
    }
    return this.#open(
      deadlineMs,
      (why) => new UnavailableError('lookup', why),
      (call) => this.#lanes.lookup(call, name),
    )
  }

  #open(deadlineMs: number, whenUnanswered: Call['whenUnanswered'], place: (call: Call) => void): CallId {
    const { calls } = this.#context
    const call = calls.open(deadlineMs, whenUnanswered)
    try {
      place(call)
    } catch (error) {
      calls.forget(call)
      throw error
    }
    return call.id
  }

  #orderRead(call: Call, accounts: readonly AccountId[]): void {
    const operations = balanceOperations(accounts)
    try {
      this.#queue.push({ call, operations, size: sizeOf(operations, this.#room), isRead: true })
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      this.#context.calls.reject(call, error)
    }
  }

  /** Total over remote messages: whatever replicas send, it never throws. */
  step(event: ClientEvent, nowMs: number): ClientEffect[] {
    switch (event.type) {
      case 'message':
        this.#onMessage(event.from, event.message, nowMs)
        break
      case 'timeout':
        this.#onTimeout(event.timer, nowMs)
        break
      case 'session-up':
        this.#onSessionUp(event.peer)
        break
      case 'session-down':
        if (this.#context.replicas.has(event.peer)) this.#context.replicas.down(event.peer)
        break
      default:
        return assertNever(event)
    }
    return this.#drain()
  }

  /** Sends what can go now. */
  flush(clock: Clock): ClientEffect[] {
    this.#reads.flush(clock.nowMs)
    this.#lanes.flush(clock)
    this.#context.calls.armTimer(clock.nowMs)
    return this.#drain()
  }

  /** Rejects what is not answered. The core is not used afterwards. */
  close(): ClientEffect[] {
    this.#context.calls.close()
    return this.#drain()
  }

  #onMessage(from: PrincipalId, message: Message, nowMs: number): void {
    const { replicas, config } = this.#context
    if (!replicas.has(from)) return
    if (message.type === 'read-reply') return this.#reads.onReply(from, message, nowMs)
    if (message.type !== 'reply' || message.client !== config.client) return
    this.#lanes.onReply(from, message, nowMs)
  }

  #onTimeout(timer: TimerName, nowMs: number): void {
    this.#lanes.onTimeout(timer)
    this.#reads.onTimeout(timer)
    if (timer !== 'deadline') return
    this.#context.calls.expire(nowMs)
    this.#queue.sweep()
    this.#reads.sweep()
    this.#lanes.sweep()
  }

  #onSessionUp(peer: PrincipalId): void {
    const { replicas } = this.#context
    if (!replicas.has(peer)) return
    replicas.up(peer)
    this.#lanes.sessionUp(peer)
    this.#reads.sessionUp(peer)
  }

  #drain(): ClientEffect[] {
    return this.#effects.splice(0)
  }
}
