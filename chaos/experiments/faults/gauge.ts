import type { Message, MessageType } from '../../../protocol/messages.ts'
import type { PrincipalId, ReplicaId } from '../../../protocol/types.ts'
import type { Observation } from '../../../replica/core/effect.ts'
import type { Errand } from '../../sim/client-process.ts'
import type { Probe } from '../../sim/probe.ts'
import type { Job } from '../../sim/workload.ts'

/** What a simulated run comes to: times of its writes, messages of its correct replicas. */
export class Gauge implements Probe {
  /** Of each write that was answered, in the order of the answers. */
  readonly latenciesMs: number[] = []
  /** What correct replicas handed to their channels, by type, once per receiver: what a liar says has no bound. */
  readonly messages = new Map<MessageType, number>()
  /** That a correct replica entered; the first is 0. */
  highestView = 0
  readonly #isLiar: (replica: ReplicaId) => boolean
  readonly #nowMs: () => number
  readonly #open = new Map<Errand, number>()
  #firstMs: number | undefined
  #lastMs = 0

  constructor(parts: {
    readonly isLiar: (replica: ReplicaId) => boolean
    readonly nowMs: () => number
  }) {
    this.#isLiar = parts.isLiar
    this.#nowMs = parts.nowMs
  }

  /** How long nothing was asked or answered, from the first call on. */
  get silentMs(): number {
    return this.#firstMs === undefined ? 0 : this.#nowMs() - this.#lastMs
  }

  /** From the first call on. */
  get elapsedMs(): number {
    return this.#firstMs === undefined ? 0 : this.#nowMs() - this.#firstMs
  }

  onSend(replica: ReplicaId, { type }: Message, to: readonly PrincipalId[]): void {
    if (this.#isLiar(replica)) return
    this.messages.set(type, (this.messages.get(type) ?? 0) + to.length)
  }

  onReceived(): void {}

  onObserved(replica: ReplicaId, what: Observation): void {
    if (what.kind === 'view-entered' && !this.#isLiar(replica))
      this.highestView = Math.max(this.highestView, what.view)
  }

  onBegun(job: Job): void {
    this.#lastMs = this.#nowMs()
    this.#firstMs ??= this.#lastMs
    this.#open.set(job, this.#lastMs)
  }

  /** A lookup that took a write's place says what became of it after its deadline: that is no answer in time. */
  onDone(errand: Errand): void {
    const begunMs = this.#open.get(errand)
    if (begunMs === undefined) return
    this.#open.delete(errand)
    this.#lastMs = this.#nowMs()
    this.latenciesMs.push(this.#lastMs - begunMs)
  }
}
