import { ClientCore } from '../../client/core.ts'
import type {
  Answer,
  CallId,
  ClientEffect,
  ClientEvent,
  Observation,
  TimerName,
} from '../../client/effects.ts'
import type { ClientError } from '../../client/errors.ts'
import type { ChannelEvent } from '../../protocol/channel/endpoint.ts'
import type { Message, Read, Request } from '../../protocol/messages.ts'
import { assertNever, type ClientId, type PrincipalId, type ReplicaId } from '../../protocol/types.ts'
import { Clock } from './clock.ts'
import { simClientConfigOf } from './genesis.ts'
import { Host } from './host.ts'
import { Timers } from './timers.ts'
import { EPOCH_US, type World } from './world.ts'

/** One process of a client: the real client core on a simulated clock and network. */
export abstract class ClientHost extends Host {
  protected readonly client: ClientId
  protected readonly core: ClientCore
  readonly #timers = new Timers<TimerName>({
    afterMs: (ms, work) => this.afterMs(ms, work),
    onTimeout: (timer) => this.#step({ type: 'timeout', timer }),
  })
  readonly #skewUs: number
  #flushWanted = false

  constructor(world: World, id: ClientId) {
    super(world, id, new Clock(world.queue))
    this.client = id
    const { skewUs } = world.plan.clientSide
    this.#skewUs = skewUs === 0 ? 0 : world.random.int(-skewUs, skewUs)
    const identity = world.cast.identities.get(id)
    if (identity === undefined) throw new Error(`client ${id} has no key`)
    this.core = new ClientCore(simClientConfigOf(world.cast.genesis, world.plan, id), {
      sign: (bytes) => identity.signer.sign(bytes),
      random: () => world.random.float(),
    })
  }

  start(): void {
    this.connectToReplicas()
    this.turn()
  }

  protected abstract resolved(call: CallId, answer: Answer): void
  protected abstract rejected(call: CallId, error: ClientError): void
  protected abstract observed(what: Observation): void
  protected abstract send(to: readonly ReplicaId[], message: Request | Read): void

  /** A call was made: it leaves with the next turn. */
  protected flushSoon(): void {
    this.#flushWanted = true
    this.scheduleTurn()
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
      if (message !== null) this.onMessage(event.from, message)
    }
    this.#flush()
  }

  protected onMessage(from: PrincipalId, message: Message): void {
    this.#step({ type: 'message', from, message })
  }

  #step(event: ClientEvent): void {
    this.#perform(this.core.step(event, this.nowMs))
    this.#flushWanted = true
  }

  #flush(): void {
    while (this.#flushWanted) {
      this.#flushWanted = false
      const wallClockUs = Math.max(1, EPOCH_US + this.world.queue.nowUs + this.#skewUs)
      this.#perform(this.core.flush({ nowMs: this.nowMs, wallClockUs }))
    }
  }

  #perform(effects: readonly ClientEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.send(effect.to, effect.message)
          break
        case 'set-timer':
          this.#timers.set(effect.timer, effect.ms)
          break
        case 'stop-timer':
          this.#timers.clear(effect.timer)
          break
        case 'resolve':
          this.resolved(effect.call, effect.answer)
          break
        case 'reject':
          this.rejected(effect.call, effect.error)
          break
        case 'observe':
          this.observed(effect.what)
          break
        default:
          assertNever(effect)
      }
    }
  }
}
