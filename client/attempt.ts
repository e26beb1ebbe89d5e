import type { Reply, Request } from '../protocol/messages.ts'
import type { RequestName } from '../protocol/operations.ts'
import type { ReplicaId } from '../protocol/types.ts'
import type { ClientContext } from './context.ts'
import type { TimerName } from './effects.ts'
import { ReplyCertificate, type Verdict } from './reply-certificate.ts'

/** One numbered, signed request: sent to all, and again, until a quorum answers [NC6]. */
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
    this.#send()
    const what = { kind: 'request-sent', name: this.name, operations: this.operations } as const
    this.#context.effects.push({ type: 'observe', what })
  }

  again(): void {
    this.#send()
    const what = { kind: 'request-resent', name: this.name, sends: this.#sends } as const
    this.#context.effects.push({ type: 'observe', what })
  }

  /** A new session has seen nothing of what is outstanding. */
  sessionUp(peer: ReplicaId): void {
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
    if (verdict === undefined) return undefined
    if (this.#sends === 1) this.#context.latency.sample(nowMs - this.#startedMs)
    if (verdict.kind === 'executed' && verdict.dissenters.length > 0) {
      const what = { kind: 'dissent', replicas: verdict.dissenters } as const
      this.#context.effects.push({ type: 'observe', what })
    }
    return verdict
  }

  /** The backups hold it, relay it to the primary, and time that one from now on [NC8] [NC10]. */
  #send(): void {
    const { replicas, effects, latency, deps } = this.#context
    const to = replicas.connected
    this.#sends++
    if (to.length > 0) {
      this.#left = true
      effects.push({ type: 'send', to, message: this.#request })
    }
    const ms = latency.retryMs(this.#sends, deps.random())
    effects.push({ type: 'set-timer', timer: this.#timer, ms })
  }
}
