import type { Request } from '../../protocol/messages.ts'
import { isReplica, type PrincipalId, type Seq } from '../../protocol/types.ts'
import { Admission } from './admission.ts'
import type { Allowances } from './allowance.ts'
import { type ClientTable, replyTo } from './client-table.ts'
import type { CoreConfig, CoreCrypto } from './config.ts'
import type { CheckId } from './effect.ts'
import type { Incarnation, LaneEntry } from './event.ts'
import type { Execution } from './execution.ts'
import type { Incarnations } from './incarnations.ts'
import type { SlotLog } from './log.ts'
import type { NormalCase } from './normal-case.ts'
import type { Outbox } from './outbox.ts'
import { RECOVER_LANE, requestRefusal } from './request-rules.ts'

/** Batches committed but not visible yet, in slots, beyond which the primary gathers instead of proposing. */
export const BACKLOG_MAX = 16
/**
 * [CP4] Each RECOVER makes the primary fill up to L + K numbers; a replica that asks again sooner than this is refused.
 * The primary is the more lenient, so that no backup waits for what its primary would refuse [NC8].
 */
const RECOVER_EVERY_MS_MIN = { backup: 10_000, primary: 5_000 }

/**
 * [NC2] From requests to batches: a backup passes a verified request on to the primary, the primary proposes at once
 * while few slots are open and gathers larger batches otherwise.
 */
export class Batcher {
  readonly #config: CoreConfig
  readonly #crypto: CoreCrypto
  readonly #outbox: Outbox
  readonly #log: SlotLog
  readonly #table: ClientTable
  readonly #execution: Execution
  readonly #normalCase: NormalCase
  readonly #incarnations: Incarnations
  /** When a RECOVER of each replica was executed here, on the step's clock. */
  readonly #executedMs = new Map<PrincipalId, number>()
  /** When this replica learnt of its last one: by executing it, from a state that it installed, or at its start. */
  readonly #learntMs = new Map<PrincipalId, number>()
  readonly #admission: Admission
  /** Never used before in this view, also across restarts [D1]. */
  #nextSeq: Seq

  constructor(args: {
    config: CoreConfig
    crypto: CoreCrypto
    outbox: Outbox
    log: SlotLog
    table: ClientTable
    execution: Execution
    normalCase: NormalCase
    incarnations: Incarnations
    allowances: Allowances
    nextSeq: Seq
  }) {
    this.#admission = new Admission(args)
    this.#config = args.config
    this.#crypto = args.crypto
    this.#outbox = args.outbox
    this.#log = args.log
    this.#table = args.table
    this.#execution = args.execution
    this.#normalCase = args.normalCase
    this.#incarnations = args.incarnations
    this.#nextSeq = args.nextSeq
  }

  get nextSeq(): Seq {
    return this.#nextSeq
  }

  /** [AU3] [NC5] Answers what is known, has verified what is new when it is its turn [FS3]. */
  onRequest(from: PrincipalId, request: Request): void {
    const refusal = requestRefusal(request, this.#config)
    if (refusal !== null) return this.#outbox.reject(from, refusal)
    if (this.#isTooSoon(request)) return this.#outbox.reject(from, 'rate-limited')
    const standing = this.#table.standing(request)
    switch (standing.kind) {
      case 'answered': {
        if (from !== request.client) return
        const named = { ...request, requestDigest: request.digest }
        return this.#outbox.send([from], replyTo(named, standing.outcome))
      }
      case 'ordered':
        return
      case 'held':
        if (this.#table.hasVerified(request) && from === request.client) this.#relay(request)
        return
      case 'new':
        this.#admission.offer({ from, request })
    }
  }

  #isTooSoon({ client }: Request): boolean {
    if (!isReplica(client)) return false
    const { isPrimary } = this.#normalCase
    const lastMs = (isPrimary ? this.#executedMs : this.#learntMs).get(client)
    const everyMs = isPrimary ? RECOVER_EVERY_MS_MIN.primary : RECOVER_EVERY_MS_MIN.backup
    return lastMs !== undefined && this.#outbox.nowMs - lastMs < everyMs
  }

  /** Executed here. */
  onRecovered(incarnations: readonly Incarnation[]): void {
    for (const { replica } of incarnations) this.#executedMs.set(replica, this.#outbox.nowMs)
    this.onIncarnationsLearnt(incarnations)
  }

  /**
   * [NC8] A later RECOVER that is held would be refused now, and the primary refuses it: nobody is judged by it. Who
   * needs it sends it again.
   */
  onIncarnationsLearnt(incarnations: Iterable<Incarnation>): void {
    for (const { replica } of incarnations) {
      this.#learntMs.set(replica, this.#outbox.nowMs)
      this.#table.letGo({ client: replica, lane: RECOVER_LANE })
    }
  }

  onVerified(check: CheckId, valid: readonly boolean[]): boolean {
    const admitted = this.#admission.onVerified(check, valid)
    if (admitted == null) return admitted === null
    const { from, request } = admitted
    this.#table.hold(request)
    if (from === request.client) this.#relay(request)
    return true
  }

  /** [FS3] */
  admit(): void {
    this.#admission.advance({
      isPrimary: this.#normalCase.isPrimary,
      committedUpTo: this.#execution.frontier,
    })
  }

  /** [FS3] Other clients are active, too: what this one asks of the primary may have to be relayed. */
  isShared(client: PrincipalId): boolean {
    return this.#admission.isShared(client)
  }

  /** [FS3] A batch with these requests was executed. */
  onClientsServed(lanes: readonly LaneEntry[]): void {
    for (const { client } of lanes) this.#admission.onActive(client)
  }

  /** A backup's held request goes to the primary, which may never have seen it. */
  #relay(request: Request): void {
    if (!this.#normalCase.isPrimary) this.#outbox.send([this.#normalCase.primary], request)
  }

  /** [NC2] What a lane holds is relayed again when the lane frees. */
  onLaneFree(request: Request): void {
    this.#relay(request)
  }

  /** [VC2] Numbering goes on behind what the NEW-VIEW ordered. [NC2] Held requests go to the new primary. */
  onViewEntered(orderedUpTo: Seq): void {
    this.#nextSeq = (Math.max(orderedUpTo, this.#log.lowWaterMark, this.#execution.frontier) + 1) as Seq
    for (const request of this.#table.held) this.#relay(request)
  }

  /** Proposes what fits now. */
  propose(): void {
    if (!this.#normalCase.isProposing) return
    const { inFlightMax, batchOperationsMax: operationsMax, batchBytesMax: bytesMax } = this.#config
    while (this.#log.contains(this.#nextSeq)) {
      if (this.#nextSeq - 1 - this.#execution.frontier >= inFlightMax) return
      if (this.#execution.frontier - this.#execution.lastExecuted >= BACKLOG_MAX) return
      if (this.#table.heldCount === 0 && this.#nextSeq > this.fillUpTo) return
      const requests = this.#table.next({ operationsMax, bytesMax })
      const seq = this.#nextSeq
      this.#nextSeq = (seq + 1) as Seq
      this.#outbox.observe({
        kind: 'proposed',
        seq,
        operations: requests.reduce((sum, { operations }) => sum + operations.length, 0),
      })
      this.#normalCase.propose(seq, { digest: this.#crypto.batchDigest(requests), requests })
    }
  }

  /** [D5] An idle cluster moves on with null batches, so that a replica that forgot its votes may vote again. */
  get fillUpTo(): number {
    const { checkpointInterval: k, logWindow } = this.#config
    let upTo = 0
    for (const { seq } of this.#incarnations.all())
      upTo = Math.max(upTo, Math.ceil((seq + logWindow) / k) * k)
    return upTo
  }
}
