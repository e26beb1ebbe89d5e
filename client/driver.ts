import type { ChannelEvent } from '../protocol/channel/endpoint.ts'
import { decodeMessage, encodeMessage, isMalformed } from '../protocol/codec.ts'
import type { Message } from '../protocol/messages.ts'
import type { PrincipalId } from '../protocol/types.ts'
import { assertNever } from '../protocol/types.ts'
import type { ClientCore } from './core.ts'
import type { Answer, CallId, ClientEffect, ClientEvent, Observation, TimerName } from './effects.ts'
import type { ClientError } from './errors.ts'

type Waiting = {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: ClientError) => void
}

export type Transport = { send(peer: PrincipalId, message: Uint8Array): void }

/** Runs a ClientCore on this process' clock and timers: effects become messages, timers and settled promises. */
export class ClientDriver {
  readonly #core: ClientCore
  readonly #transport: Transport
  readonly #onObservation: (what: Observation) => void
  readonly #waiting = new Map<CallId, Waiting>()
  readonly #timers = new Map<TimerName, NodeJS.Timeout>()
  #flushScheduled = false
  #closed = false

  constructor(
    core: ClientCore,
    { transport, onObservation }: { transport: Transport; onObservation: (what: Observation) => void },
  ) {
    this.#core = core
    this.#transport = transport
    this.#onObservation = onObservation
  }

  /**
   * `start` makes the call on the core, with the deadline that `timeoutMs` gives.
   * @throws what `start` throws
   */
  call(start: (core: ClientCore, deadlineMs: number) => CallId, timeoutMs: number): Promise<Answer> {
    const id = start(this.#core, performance.now() + timeoutMs)
    const answer = new Promise<Answer>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.#scheduleFlush()
    return answer
  }

  onChannelEvents(events: readonly ChannelEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'message':
          this.#onBytes(event.from, event.message)
          break
        case 'session-up':
        case 'session-down':
          this.#step(event)
          break
        case 'lost':
          // Sent again when its timer runs out.
          break
        default:
          assertNever(event)
      }
    }
  }

  close(): void {
    if (this.#closed) return
    this.#perform(this.#core.close())
    this.#closed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }

  #onBytes(from: PrincipalId, bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    if (!isMalformed(message)) this.#step({ type: 'message', from, message })
  }

  #step(event: ClientEvent): void {
    if (this.#closed) return
    this.#perform(this.#core.step(event, performance.now()))
    this.#scheduleFlush()
  }

  /**
   * Once, after all promise continuations of this turn have run: callers that were just answered are then back with
   * their next call, and it costs no further turn of the event loop.
   */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#closed) return
    this.#flushScheduled = true
    queueMicrotask(() => process.nextTick(() => this.#flush()))
  }

  #flush(): void {
    this.#flushScheduled = false
    if (this.#closed) return
    this.#perform(this.#core.flush({ nowMs: performance.now(), wallClockUs: Date.now() * 1000 }))
  }

  #perform(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.#send(effect.to, effect.message)
          break
        case 'set-timer':
          this.#setTimer(effect.timer, effect.ms)
          break
        case 'stop-timer':
          clearTimeout(this.#timers.get(effect.timer))
          this.#timers.delete(effect.timer)
          break
        case 'resolve':
          this.#take(effect.call)?.resolve(effect.answer)
          break
        case 'reject':
          this.#take(effect.call)?.reject(effect.error)
          break
        case 'observe':
          this.#onObservation(effect.what)
          break
        default:
          assertNever(effect)
      }
    }
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    const bytes = encodeMessage(message)
    for (const peer of to) this.#transport.send(peer, bytes)
  }

  #setTimer(timer: TimerName, ms: number): void {
    clearTimeout(this.#timers.get(timer))
    const onTimeout = () => {
      this.#timers.delete(timer)
      this.#step({ type: 'timeout', timer })
    }
    this.#timers.set(timer, setTimeout(onTimeout, ms))
  }

  #take(call: CallId): Waiting | undefined {
    const waiting = this.#waiting.get(call)
    this.#waiting.delete(call)
    return waiting
  }
}
