import type { Answer, CallId, ClientEffect } from './effects.ts'
import type { ClientError, Unanswered } from './errors.ts'

/** One call that waits for its answer. Whoever holds it says what it means if none comes. */
export class Call {
  readonly id: CallId
  readonly deadlineMs: number
  whenUnanswered: (why: Unanswered) => ClientError
  /** False once it has resolved or rejected; holders drop it when they next look. */
  live = true

  constructor(id: CallId, deadlineMs: number, whenUnanswered: (why: Unanswered) => ClientError) {
    this.id = id
    this.deadlineMs = deadlineMs
    this.whenUnanswered = whenUnanswered
  }
}

/** The live calls, and the one timer for all their deadlines. */
export class Calls {
  readonly #effects: ClientEffect[]
  readonly #live = new Map<CallId, Call>()
  #lastId = 0
  #earliestMs = Number.POSITIVE_INFINITY
  #armedMs = Number.POSITIVE_INFINITY

  constructor(effects: ClientEffect[]) {
    this.#effects = effects
  }

  open(deadlineMs: number, whenUnanswered: (why: Unanswered) => ClientError): Call {
    const call = new Call(++this.#lastId as CallId, deadlineMs, whenUnanswered)
    this.#live.set(call.id, call)
    this.#earliestMs = Math.min(this.#earliestMs, deadlineMs)
    return call
  }

  resolve(call: Call, answer: Answer): void {
    if (this.#close(call)) this.#effects.push({ type: 'resolve', call: call.id, answer })
  }

  reject(call: Call, error: ClientError): void {
    if (this.#close(call)) this.#effects.push({ type: 'reject', call: call.id, error })
  }

  /** It was refused before it was placed anywhere: its caller is told by a throw. */
  forget(call: Call): void {
    this.#close(call)
  }

  #close(call: Call): boolean {
    if (!call.live) return false
    call.live = false
    return this.#live.delete(call.id)
  }

  /** The timer is left alone when calls resolve: it then finds nothing to do, which is cheaper than moving it. */
  armTimer(nowMs: number): void {
    if (this.#earliestMs >= this.#armedMs) return
    this.#armedMs = this.#earliestMs
    this.#effects.push({ type: 'set-timer', timer: 'deadline', ms: Math.max(0, this.#earliestMs - nowMs) })
  }

  expire(nowMs: number): void {
    this.#armedMs = Number.POSITIVE_INFINITY
    this.#earliestMs = Number.POSITIVE_INFINITY
    for (const call of [...this.#live.values()]) {
      if (call.deadlineMs <= nowMs) this.reject(call, call.whenUnanswered('deadline'))
      else this.#earliestMs = Math.min(this.#earliestMs, call.deadlineMs)
    }
    this.armTimer(nowMs)
  }

  close(): void {
    for (const call of [...this.#live.values()]) this.reject(call, call.whenUnanswered('closed'))
  }
}
