import type { Message } from '../../protocol/messages.ts'
import type { LogPosition, PrincipalId } from '../../protocol/types.ts'
import type { CheckId, Claim, Effect, Observation, RejectionCode } from './effect.ts'
import { isVote, type VoteRecord } from './vote-record.ts'

/** Collects the effects of one step, and owns the two counters that name them: log positions and checks. */
export class Outbox {
  #effects: Effect[] = []
  #position = 0
  #check = 0
  /** Every record up to here is on the disk. */
  durable = 0 as LogPosition
  /** The time of this step, in milliseconds of a clock that never goes back within a process. */
  nowMs = 0

  /** `awaited`: something other than a send waits until the record is durable. */
  persist(record: VoteRecord, { awaited = false } = {}): LogPosition {
    this.#position += 1
    const position = this.#position as LogPosition
    this.#effects.push({ type: 'persist', position, record, sync: awaited || isVote(record) })
    return position
  }

  send(to: readonly PrincipalId[], message: Message, after?: LogPosition): void {
    if (to.length === 0) return
    const held = after !== undefined && after > this.durable
    this.#effects.push(held ? { type: 'send', to, message, after } : { type: 'send', to, message })
  }

  verify(claims: readonly Claim[]): CheckId {
    this.#check += 1
    const check = this.#check as CheckId
    this.#effects.push({ type: 'verify', check, claims })
    return check
  }

  effect(effect: Exclude<Effect, { type: 'persist' | 'send' | 'verify' | 'observe' }>): void {
    this.#effects.push(effect)
  }

  observe(what: Observation): void {
    this.#effects.push({ type: 'observe', what })
  }

  reject(from: PrincipalId, code: RejectionCode): void {
    this.observe({ kind: 'rejected', from, code })
  }

  drain(): Effect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
