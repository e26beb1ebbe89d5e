import type { Answer, CallId, Observation } from '../../client/effects.ts'
import { type ClientError, IndeterminateError, OverloadedError } from '../../client/errors.ts'
import { encodeMessage } from '../../protocol/codec.ts'
import type { Message, Read, Reply, Request } from '../../protocol/messages.ts'
import { formatRequestName, type RequestName } from '../../protocol/operations.ts'
import { assertNever, type ClientId, type PrincipalId, type ReplicaId } from '../../protocol/types.ts'
import type { Floor } from './check/answer-check.ts'
import type { Checks } from './checks.ts'
import { ClientHost } from './client-host.ts'
import { describe } from './describe.ts'
import { Violation } from './violation.ts'
import { accountsOf, accountsOfOperation, type Job } from './workload.ts'
import type { World } from './world.ts'

/** A lookup is repeated with this deadline until it is answered. */
const LOOKUP_MS = 5_000

export type Errand = Job | { readonly kind: 'lookup'; readonly name: RequestName }
type Open = { readonly errand: Errand; readonly floor: Floor }

export type ClientHooks = {
  /** The errand is over: answered, known not to have been executed, or its outcome learnt. */
  readonly onDone: (errand: Errand, answer: Answer) => void
  /** It must be tried again, in another form perhaps, because of `error`. */
  readonly onAgain: (errand: Errand, error: ClientError) => void
  readonly onSent: (request: Request) => void
}

/** One process of a correct client, from its start to its death. */
export class ClientProcess extends ClientHost {
  readonly #checks: Checks
  readonly #hooks: ClientHooks
  readonly #open = new Map<CallId, Open>()
  /** Sent and not settled: what a new process would ask about. */
  readonly #sent = new Map<string, RequestName>()
  /** The reply that is being handed to the core. */
  #reply: Reply | null = null

  constructor(args: {
    readonly world: World
    readonly id: ClientId
    readonly checks: Checks
    readonly hooks: ClientHooks
  }) {
    super(args.world, args.id)
    this.#checks = args.checks
    this.#hooks = args.hooks
  }

  /** Names of requests whose fate this process does not know. */
  get unsettled(): readonly RequestName[] {
    return [...this.#sent.values()]
  }

  get openErrands(): readonly Errand[] {
    return [...this.#open.values()].map(({ errand }) => errand)
  }

  begin(errand: Errand, waitMs = this.world.plan.clientSide.deadlineMs): void {
    const { world } = this
    const floor = this.#checks.answers.floor(errand.kind === 'lookup' ? [] : accountsOf(errand))
    const deadlineMs = this.nowMs + (errand.kind === 'lookup' ? LOOKUP_MS : waitMs)
    try {
      this.#open.set(this.#start(errand, deadlineMs), { errand, floor })
    } catch (error) {
      if (!(error instanceof OverloadedError)) throw error
      world.happenings.count('client overloaded')
      this.#hooks.onAgain(errand, error)
    }
    this.flushSoon()
  }

  #start(errand: Errand, deadlineMs: number): CallId {
    switch (errand.kind) {
      case 'submit':
        return this.core.submit(errand.operations, deadlineMs)
      case 'read':
        return this.core.read(errand.accounts, deadlineMs)
      case 'lookup':
        return this.core.lookup(errand.name, deadlineMs)
      default:
        return assertNever(errand)
    }
  }

  protected override onMessage(from: PrincipalId, message: Message): void {
    this.#reply = message.type === 'reply' ? message : null
    super.onMessage(from, message)
    this.#reply = null
  }

  protected override send(to: readonly ReplicaId[], message: Request | Read): void {
    const { trace, queue } = this.world
    if (trace.verbose) trace.line(queue.nowUs, `c${this.id} -> ${to.join(',')} ${describe(message)}`)
    if (message.type === 'request' && message.operations[0]?.kind !== 'lookup') {
      const { lane, number, digest } = message
      const name = { client: this.client, lane, number, digest }
      this.#sent.set(formatRequestName(name), name)
    }
    if (message.type === 'request') this.#hooks.onSent(message)
    const bytes = encodeMessage(message)
    for (const peer of to) this.endpoint.send(peer, bytes, this.nowMs)
  }

  protected override resolved(call: CallId, answer: Answer): void {
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
    this.#hooks.onDone(errand, answer)
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
  protected override rejected(call: CallId, error: ClientError): void {
    const { errand } = this.#take(call)
    this.world.happenings.count(`call rejected: ${error.code}`)
    if (error instanceof IndeterminateError) {
      this.#hooks.onAgain({ kind: 'lookup', name: error.request }, error)
    } else this.#hooks.onAgain(errand, error)
  }

  #take(call: CallId): Open {
    const open = this.#open.get(call)
    if (open === undefined) throw new Violation('wrong-answer', `call ${call} ended twice`)
    this.#open.delete(call)
    return open
  }

  protected override observed(what: Observation): void {
    const { happenings, trace, queue } = this.world
    happenings.count(`client: ${what.kind}`)
    if (trace.verbose) {
      const name = 'name' in what ? formatRequestName(what.name).slice(0, 30) : ''
      trace.line(queue.nowUs, `c${this.id} ${what.kind} ${name}`)
    }
    if (what.kind === 'request-settled') this.#sent.delete(formatRequestName(what.name))
  }
}
