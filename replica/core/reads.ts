import type { Read } from '../../protocol/messages.ts'
import { isReplica, type PrincipalId, type Seq } from '../../protocol/types.ts'
import type { Amnesia } from './amnesia.ts'
import type { CoreConfig } from './config.ts'
import type { Execution } from './execution.ts'
import type { Outbox } from './outbox.ts'

/** Reads that wait for a starting replica; more are dropped, their clients ask again. */
const WAITING_MAX = 256

/**
 * [NC7] Quorum reads: answered from executed state. After a start none is answered before everything that the vote
 * log shows prepared or committed is visible [D4]; after the database lost something, none before that is back.
 */
export class Reads {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #execution: Execution
  readonly #amnesia: Amnesia
  #floor: Seq
  #waiting: { readonly from: PrincipalId; readonly read: Read }[] = []

  constructor(args: {
    config: CoreConfig
    outbox: Outbox
    execution: Execution
    amnesia: Amnesia
    floor: Seq
  }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#execution = args.execution
    this.#amnesia = args.amnesia
    this.#floor = args.floor
  }

  /** States up to `seq` may have been shown: what is older is shown no more [D4]. */
  raiseFloor(seq: Seq): void {
    if (seq > this.#floor) this.#floor = seq
  }

  onRead(from: PrincipalId, read: Read): void {
    // [D5] What an amnesiac shows could be older than what it showed before.
    if (!this.#amnesia.isVoting) return this.#outbox.reject(from, 'amnesiac')
    if (isReplica(from) || !this.#config.isAdmitted(from)) return this.#outbox.reject(from, 'not-admitted')
    if (this.#execution.lastExecuted >= this.#floor) return this.#answer(from, read)
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ from, read })
    else this.#outbox.reject(from, 'rate-limited')
  }

  onExecuted(): void {
    if (this.#waiting.length === 0 || this.#execution.lastExecuted < this.#floor) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const { from, read } of waiting) this.#answer(from, read)
  }

  #answer(to: PrincipalId, { nonce, accounts }: Read): void {
    const atLeast = this.#execution.lastExecuted
    this.#outbox.effect({ type: 'read-state', to, nonce, accounts, atLeast })
  }
}
