import { encodeMessage } from '../../protocol/codec.ts'
import type { Message } from '../../protocol/messages.ts'
import type { LogPosition, PrincipalId } from '../../protocol/types.ts'
import { assertNever } from '../../protocol/types.ts'
import type { ReplicaCore } from '../core/core.ts'
import type { Claim, Effect, Fault, Observation, TimerName } from '../core/effect.ts'
import type { Event } from '../core/event.ts'
import type { VoteRecord } from '../core/vote-record.ts'

/** What effects are performed on. */
export type Ports = {
  readonly log: {
    append(position: LogPosition, record: VoteRecord, sync: boolean): void
    flush(): void
  }
  readonly send: (to: PrincipalId, message: Uint8Array) => void
  readonly verify: (claims: readonly Claim[]) => boolean[]
  readonly execute: (effect: Extract<Effect, { type: 'execute' }>) => void
  readonly readState: (effect: Extract<Effect, { type: 'read-state' }>) => void
  readonly readCommitted: (effect: Extract<Effect, { type: 'read-committed' }>) => void
  readonly observe: (what: Observation) => void
  readonly halt: (fault: Fault) => void
  /** A timer went off: to be dispatched as an event. */
  readonly onTimeout: (timer: TimerName) => void
  readonly nowMs: () => number
}

/**
 * Event -> step -> perform. Sends that depend on a record wait here until it is durable [D1]; everything else is
 * handed to its port at once. The log is flushed once the events of a turn are through, so that they share an fsync.
 */
export class Engine {
  readonly #core: ReplicaCore
  readonly #ports: Ports
  /** What waits for its record. */
  #held: { readonly after: LogPosition; readonly to: readonly PrincipalId[]; readonly message: Message }[] =
    []
  #durable = 0
  readonly #queue: Event[] = []
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(core: ReplicaCore, ports: Ports) {
    this.#core = core
    this.#ports = ports
  }

  get position() {
    return this.#core.position
  }

  /** The events of one turn. */
  dispatch(events: readonly Event[]): void {
    this.#queue.push(...events)
    for (
      let event = this.#queue.shift();
      event !== undefined && !this.#stopped;
      event = this.#queue.shift()
    ) {
      this.#performAll(this.#core.step(event, this.#ports.nowMs()))
    }
    this.#ports.log.flush()
  }

  onPersisted(upTo: LogPosition): void {
    if (this.#stopped) return
    this.#durable = upTo
    const held = this.#held
    this.#held = held.filter(({ after }) => after > upTo)
    for (const { after, to, message } of held) if (after <= upTo) this.#send(to, message)
    this.dispatch([{ type: 'persisted', upTo }])
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** What stands behind a halt is neither written nor said. */
  #performAll(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (this.#stopped) return
      this.#perform(effect)
    }
  }

  #perform(effect: Effect): void {
    const ports = this.#ports
    switch (effect.type) {
      case 'persist':
        return ports.log.append(effect.position, effect.record, effect.sync)
      case 'send':
        return this.#sendAfter(effect)
      case 'verify':
        // Behind what this step wrote: records reach the log in order.
        this.#queue.unshift({ type: 'verified', check: effect.check, valid: ports.verify(effect.claims) })
        return
      case 'execute':
        return ports.execute(effect)
      case 'read-state':
        return ports.readState(effect)
      case 'read-committed':
        return ports.readCommitted(effect)
      case 'set-timer':
        return this.#arm(effect)
      case 'observe':
        return ports.observe(effect.what)
      case 'halt':
        this.stop()
        return ports.halt(effect.fault)
      default:
        return assertNever(effect)
    }
  }

  #sendAfter({ to, message, after }: Extract<Effect, { type: 'send' }>): void {
    if (after === undefined || after <= this.#durable) this.#send(to, message)
    else this.#held.push({ after, to, message })
  }

  #send(to: readonly PrincipalId[], message: Message): void {
    const bytes = encodeMessage(message)
    for (const peer of to) this.#ports.send(peer, bytes)
  }

  #arm({ timer, ms }: Extract<Effect, { type: 'set-timer' }>): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#ports.onTimeout(timer), ms)
  }
}
