import { ClientCore } from '../../client/core.ts'
import type {
  Answer,
  CallId,
  ClientEffect,
  ClientEvent,
  Observation,
  TimerName,
} from '../../client/effects.ts'
import { type ClientError, IndeterminateError, OverloadedError } from '../../client/errors.ts'
import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import { encodeMessage } from '../../protocol/codec.ts'
import type { Message, Reply } from '../../protocol/messages.ts'
import { formatRequestName, type RequestName } from '../../protocol/operations.ts'
import { assertNever, type ClientId, type PrincipalId } from '../../protocol/types.ts'
import type { Floor } from './check/answer-check.ts'
import type { Checks } from './checks.ts'
import { Clock } from './clock.ts'
import { describe } from './describe.ts'
import { simClientConfigOf } from './genesis.ts'
import { Host } from './host.ts'
import { Violation } from './violation.ts'
import { accountsOf, accountsOfOperation, type Job } from './workload.ts'
import { EPOCH_US, type World } from './world.ts'

/** A lookup is repeated with this deadline until it is answered. */
const LOOKUP_MS = 5_000

export type Errand = Job | { readonly kind: 'lookup'; readonly name: RequestName }
type Open = { readonly errand: Errand; readonly floor: Floor }

export type ClientHooks = {
  /** The errand is over: answered, known not to have been executed, or its outcome learnt. */
  readonly onDone: (errand: Errand) => void
  /** It must be tried again, in another form perhaps. */
  readonly onAgain: (errand: Errand) => void
}

/** One process of a client, from its start to its death: the real client core on a simulated clock and network. */
export class ClientProcess extends Host {
  readonly #core: ClientCore
  readonly #checks: Checks
  readonly #hooks: ClientHooks
  readonly #open = new Map<CallId, Open>()
  readonly #timers = new Map<TimerName, number>()
  readonly #skewUs: number
  #timerOrdinal = 0
  /** Sent and not settled: what a new process would ask about. */
  readonly #sent = new Map<string, RequestName>()
  #flushWanted = false
  /** The reply that is being handed to the core. */
  #reply: Reply | null = null

  constructor(args: {
    readonly world: World
    readonly id: ClientId
    readonly checks: Checks
    readonly hooks: ClientHooks
  }) {
    const { world, id } = args
    super(world, id, new Clock(world.queue))
    this.#checks = args.checks
    this.#hooks = args.hooks
    const { skewUs } = world.plan.clientSide
    this.#skewUs = skewUs === 0 ? 0 : world.random.int(-skewUs, skewUs)
    const identity = world.cast.identities.get(id)
    if (identity === undefined) throw new Error(`client ${id} has no key`)
    this.#core = new ClientCore(simClientConfigOf(world.cast.genesis, world.plan, id), {
      sign: (bytes) => identity.signer.sign(bytes),
      random: () => world.random.float(),
    })
  }

  start(): void {
    this.connectToReplicas()
    this.turn()
  }

  /** Names of requests whose fate this process does not know. */
  get unsettled(): readonly RequestName[] {
    return [...this.#sent.values()]
  }

  get openErrands(): readonly Errand[] {
    return [...this.#open.values()].map(({ errand }) => errand)
  }

  begin(errand: Errand): void {
    const { world } = this
    const floor = this.#checks.answers.floor(errand.kind === 'lookup' ? [] : accountsOf(errand))
    const deadlineMs = this.nowMs + (errand.kind === 'lookup' ? LOOKUP_MS : world.plan.clientSide.deadlineMs)
    try {
      this.#open.set(this.#start(errand, deadlineMs), { errand, floor })
    } catch (error) {
      if (!(error instanceof OverloadedError)) throw error
      world.happenings.count('client overloaded')
      this.#hooks.onAgain(errand)
    }
    this.#flushWanted = true
    this.scheduleTurn()
  }

  #start(errand: Errand, deadlineMs: number): CallId {
    switch (errand.kind) {
      case 'submit':
        return this.#core.submit(errand.operations, deadlineMs)
      case 'read':
        return this.#core.read(errand.accounts, deadlineMs)
      case 'lookup':
        return this.#core.lookup(errand.name, deadlineMs)
      default:
        return assertNever(errand)
    }
  }

  protected override turn(): void {
    this.#flush()
    super.turn()
  }

  protected override onChannel(events: readonly ChannelEvent[]): void {
    for (const event of events) {
      if (event.type === 'session-up' || event.type === 'session-down') this.#step(event)
      if (event.type !== 'message') continue
      const message = this.decoded(event.from, event.message)
      if (message !== null) this.#onMessage(event.from, message)
    }
    this.#flush()
  }

  #onMessage(from: PrincipalId, message: Message): void {
    this.#reply = message.type === 'reply' ? message : null
    this.#step({ type: 'message', from, message })
    this.#reply = null
  }

  #step(event: ClientEvent): void {
    this.#perform(this.#core.step(event, this.nowMs))
    this.#flushWanted = true
  }

  #flush(): void {
    while (this.#flushWanted) {
      this.#flushWanted = false
      const wallClockUs = Math.max(1, EPOCH_US + this.world.queue.nowUs + this.#skewUs)
      this.#perform(this.#core.flush({ nowMs: this.nowMs, wallClockUs }))
    }
  }

  #perform(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.#send(effect.to, effect.message)
          break
        case 'set-timer':
          this.#arm(effect.timer, effect.ms)
          break
        case 'stop-timer':
          this.#timers.delete(effect.timer)
          break
        case 'resolve':
          this.#resolve(effect.call, effect.answer)
          break
        case 'reject':
          this.#reject(effect.call, effect.error)
          break
        case 'observe':
          this.#observe(effect.what)
          break
        default:
          assertNever(effect)
      }
    }
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    const { trace, queue } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `c${this.id} -> ${to.join(',')} ${describe(message)}`)
    if (message.type === 'request' && message.operations[0]?.kind !== 'lookup') {
      const { lane, number, digest } = message
      const name = { client: this.id as ClientId, lane, number, digest }
      this.#sent.set(formatRequestName(name), name)
    }
    const bytes = encodeMessage(message)
    for (const peer of to) this.endpoint.send(peer, bytes, this.nowMs)
  }

  #arm(timer: TimerName, ms: number): void {
    this.#timerOrdinal += 1
    const armed = this.#timerOrdinal
    this.#timers.set(timer, armed)
    this.afterMs(ms, () => {
      if (this.#timers.get(timer) !== armed) return
      this.#timers.delete(timer)
      this.#step({ type: 'timeout', timer })
    })
  }

  #resolve(call: CallId, answer: Answer): void {
    const open = this.#take(call)
    const { answers } = this.#checks
    const { errand, floor } = open
    if (answer.kind === 'outcome') {
      if (errand.kind !== 'lookup') throw new Violation('wrong-answer', 'an outcome for what was no lookup')
      answers.onOutcome(errand.name, answer.outcome)
      this.#sent.delete(formatRequestName(errand.name))
      this.world.happenings.count(`lookup: ${answer.outcome.kind}`)
    } else if (this.#reply !== null) {
      const { client, lane, number, requestDigest } = this.#reply
      this.#sent.delete(
        formatRequestName({ client: client as ClientId, lane, number, digest: requestDigest }),
      )
      answers.onResults(this.#reply, answer, floor)
      if (answer.kind === 'results') this.#acknowledge(errand, answer)
    } else if (answer.kind === 'values') answers.onRead(answer.values, floor)
    else throw new Violation('wrong-answer', 'results without a reply')
    this.#hooks.onDone(errand)
  }

  /** What a transfer changed is known from now on. */
  #acknowledge(errand: Errand, { results }: Extract<Answer, { kind: 'results' }>): void {
    if (errand.kind !== 'submit') return
    results.forEach((result, index) => {
      const operation = errand.operations[index]
      if (operation === undefined) return
      const parts = result.kind === 'linked' ? result.results : [result]
      for (const part of parts) {
        if (part.kind !== 'transferred') continue
        this.#checks.answers.onAcknowledged(
          operation.kind === 'linked' ? [] : accountsOfOperation(operation),
          part.id.seq,
        )
      }
    })
  }

  /** Not knowing is no end: what may have been executed is looked up, the rest is tried again. */
  #reject(call: CallId, error: ClientError): void {
    const { errand } = this.#take(call)
    this.world.happenings.count(`call rejected: ${error.code}`)
    if (error instanceof IndeterminateError) {
      this.#hooks.onAgain({ kind: 'lookup', name: error.request })
    } else this.#hooks.onAgain(errand)
  }

  #take(call: CallId): Open {
    const open = this.#open.get(call)
    if (open === undefined) throw new Violation('wrong-answer', `call ${call} ended twice`)
    this.#open.delete(call)
    return open
  }

  #observe(what: Observation): void {
    const { happenings, trace, queue } = this.world
    happenings.count(`client: ${what.kind}`)
    if (trace.verbose) {
      const name = 'name' in what ? formatRequestName(what.name).slice(0, 30) : ''
      trace.line(queue.nowUs, `c${this.id} ${what.kind} ${name}`)
    }
    if (what.kind === 'request-settled') this.#sent.delete(formatRequestName(what.name))
  }
}
