import type { FetchBatch, FetchedBatch } from '../../protocol/messages.ts'
import type { PrincipalId, ReplicaId } from '../../protocol/types.ts'
import { type CoreConfig, peersOf } from './config.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'

/** Batches asked of one peer at a time. */
const ASKED_MAX = 32
/** Batches given to one peer in a period of statusBusyMs. */
const GIVEN_MAX = 64

/** [VC5] A batch that O names and this replica lacks is fetched by its digest; whoever prepared it has it. */
export class Bodies {
  readonly #config: CoreConfig
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #normalCase: NormalCase
  readonly #peers: readonly ReplicaId[]
  /** The peer that is asked, by its place in `#peers`. */
  #source = 0
  #outstanding = 0
  readonly #given = new Map<ReplicaId, { readonly sinceMs: number; count: number }>()

  constructor(args: { config: CoreConfig; outbox: Outbox; log: SlotLog; normalCase: NormalCase }) {
    this.#config = args.config
    this.#outbox = args.outbox
    this.#log = args.log
    this.#normalCase = args.normalCase
    this.#peers = peersOf(args.config)
  }

  onViewEntered(): void {
    this.#ask()
  }

  /** At each STATUS tick: what is still missing is asked of the next peer. */
  onTick(): void {
    this.#source = (this.#source + 1) % this.#peers.length
    this.#ask()
  }

  #ask(): void {
    const source = this.#peers[this.#source]
    this.#outstanding = 0
    if (source === undefined) return
    for (const { seq, digest } of this.#normalCase.missingBodies()) {
      if (this.#outstanding >= ASKED_MAX) return
      this.#outstanding += 1
      this.#outbox.send([source], { type: 'fetch-batch', seq, digest })
    }
  }

  /** Its digest proves it, whoever sent it. */
  onFetched(from: PrincipalId, { seq, batch }: FetchedBatch): void {
    if (!this.#normalCase.onBody(seq, batch)) return this.#outbox.reject(from, 'wrong-digest')
    this.#outbox.observe({ kind: 'body-fetched', seq, digest: batch.digest })
    this.#outstanding -= 1
    if (this.#outstanding === 0) this.#ask()
  }

  onFetch(from: PrincipalId, { seq, digest }: FetchBatch): void {
    const peer = this.#peers.find((id) => id === from)
    if (peer === undefined) return this.#outbox.reject(from, 'not-admitted')
    const batch = this.#log.get(seq)?.body(digest)
    if (batch === undefined) return
    const { nowMs } = this.#outbox
    let given = this.#given.get(peer)
    if (given === undefined || nowMs - given.sinceMs >= this.#config.statusBusyMs) {
      given = { sinceMs: nowMs, count: 0 }
      this.#given.set(peer, given)
    }
    given.count += 1
    if (given.count > GIVEN_MAX) return this.#outbox.reject(from, 'rate-limited')
    this.#outbox.send([peer], { type: 'fetched-batch', seq, batch })
  }
}
