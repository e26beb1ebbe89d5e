import type { Reply, Request } from '../protocol/messages.ts'
import type { RequestName } from '../protocol/operations.ts'
import type { ReplicaId } from '../protocol/types.ts'
import type { ClientContext } from './context.ts'
import type { TimerName } from './effects.ts'
import { ReplyCertificate, type Verdict } from './reply-certificate.ts'

/** One numbered, signed request: sent to the supposed primary, then again and to all, until a quorum answers. */
export class Attempt {
  readonly name: RequestName
  readonly #context: ClientContext
  readonly #request: Request
  readonly #certificate: ReplyCertificate
  readonly #timer: TimerName
  readonly #startedMs: number
  #sends = 0
  /** Whether any replica may have it: if not, it certainly does not execute. */
  #left = false

  constructor(context: ClientContext, request: Request, nowMs: number) {
    this.#context = context
    this.#request = request
    this.#certificate = new ReplyCertificate(context.replicas.quorum, request.number)
    this.#timer = `lane:${request.lane}`
    this.#startedMs = nowMs
    const { lane, number, digest } = request
    this.name = { client: context.config.client, lane, number, digest }
  }

  get left(): boolean {
    return this.#left
  }

  /** Sent more than once: its lane may be slow for a while. */
  get struggling(): boolean {
    return this.#sends > 1
  }

  get operations(): number {
    return this.#request.operations.length
  }

  start(): void {
    const { replicas, effects } = this.#context
    const { primary } = replicas
    this.#send(replicas.isConnected(primary) ? [primary] : replicas.connected)
    effects.push({
      type: 'observe',
      what: { kind: 'request-sent', name: this.name, operations: this.operations },
    })
  }

  /** To all: they hold it, relay it to the primary, and time that one [NC8]. */
  again(): void {
    const { replicas, effects } = this.#context
    this.#send(replicas.connected)
    effects.push({ type: 'observe', what: { kind: 'request-resent', name: this.name, sends: this.#sends } })
  }

  /** A new session has seen nothing of what is outstanding. */
  sessionUp(peer: ReplicaId): void {
    if (this.#left && this.#sends === 1 && peer !== this.#context.replicas.primary) return
    this.#left = true
    this.#context.effects.push({ type: 'send', to: [peer], message: this.#request })
  }

  stop(): void {
    this.#context.effects.push({ type: 'stop-timer', timer: this.#timer })
  }

  /** Undefined while no quorum agrees, or when the reply is to something else. */
  add(from: ReplicaId, reply: Reply, nowMs: number): Verdict | undefined {
    if (reply.number !== this.name.number || reply.requestDigest !== this.name.digest) return undefined
    const verdict = this.#certificate.add(from, reply.outcome)
    if (verdict === undefined) {
      // The primary will not order it, so that nobody else hears of it: ask them, without waiting for the timer.
      const refused = reply.outcome.kind !== 'executed' && from === this.#context.replicas.primary
      if (refused && this.#sends === 1) this.again()
      return undefined
    }
    if (this.#sends === 1) this.#context.latency.sample(nowMs - this.#startedMs)
    if (verdict.kind === 'executed' && verdict.dissenters.length > 0) {
      const what = { kind: 'dissent', replicas: verdict.dissenters } as const
      this.#context.effects.push({ type: 'observe', what })
    }
    return verdict
  }

  #send(to: readonly ReplicaId[]): void {
    const { effects, latency, deps } = this.#context
    this.#sends++
    if (to.length > 0) {
      this.#left = true
      effects.push({ type: 'send', to, message: this.#request })
    }
    const ms = latency.retryMs(this.#sends, deps.random())
    effects.push({ type: 'set-timer', timer: this.#timer, ms })
  }
}
