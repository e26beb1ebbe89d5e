import type { Reply } from '../protocol/messages.ts'
import type { Operation, OperationResult, RequestName } from '../protocol/operations.ts'
import { decodeResults } from '../protocol/results-codec.ts'
import type { Lane as LaneNumber, ReplicaId } from '../protocol/types.ts'
import { requestNumber } from '../protocol/types.ts'
import { resultsAnswer, valuesAnswer } from './answers.ts'
import { Attempt } from './attempt.ts'
import type { Call } from './calls.ts'
import { type ClientContext, makeRequest } from './context.ts'
import type { Clock, RequestOutcome, Travelled } from './effects.ts'
import { IndeterminateError, ProtocolError, type RequestSlice, UnavailableError } from './errors.ts'
import type { QueuedCall } from './operation-queue.ts'
import type { Verdict } from './reply-certificate.ts'

type Part = { readonly queued: QueuedCall; readonly slice: RequestSlice }
type InFlight =
  | { readonly kind: 'operations'; readonly attempt: Attempt; readonly parts: readonly Part[] }
  | { readonly kind: 'lookup'; readonly attempt: Attempt }
type WaitingLookup = { readonly call: Call; readonly name: RequestName }

/** What an executed lookup proved: the last real entry was `entryNumber`, and nothing below `lookupNumber` follows. */
type Fence = { readonly entryNumber: number; readonly lookupNumber: number }

/**
 * One lane [NC1]: at most one request in flight. It takes operations only while it is *settled*: an ordered lookup of
 * this client has executed and nothing is in doubt since. So it starts with a lookup, which fences what an earlier
 * process left and is harmless to number anew, and has another one after each request that got no answer [NC5].
 */
export class Lane {
  readonly number: LaneNumber
  /** Takes operations; else it exists for lookups and for what is in doubt, and goes with them. */
  inService = false
  readonly #context: ClientContext
  #settled = false
  #inFlight: InFlight | undefined
  /** Its callers were told that nobody can tell. Late replies may still, and the next lookup will. */
  #doubtful: Attempt | undefined
  #lookups: WaitingLookup[] = []
  #fence: Fence | undefined
  /** Highest number used here or known of the lane's entry. */
  #floor = 0

  constructor(context: ClientContext, number: LaneNumber) {
    this.#context = context
    this.number = number
  }

  get settled(): boolean {
    return this.#settled
  }

  get free(): boolean {
    return this.#inFlight === undefined
  }

  /** May start operations now. */
  get ready(): boolean {
    return this.inService && this.#settled && this.free && this.#lookups.length === 0
  }

  get struggling(): boolean {
    return this.#inFlight?.attempt.struggling ?? false
  }

  get operationsInFlight(): number {
    return this.#inFlight?.kind === 'operations' ? this.#inFlight.attempt.operations : 0
  }

  /** A lookup is due before anything else. */
  get mustLookup(): boolean {
    const unsettled = this.inService && !this.#settled
    return this.free && (unsettled || this.#doubtful !== undefined || this.#lookups.length > 0)
  }

  get needless(): boolean {
    return !this.inService && this.free && !this.mustLookup
  }

  // --- requests

  startLookup(clock: Clock): void {
    const above = this.#lookups.reduce((highest, { name }) => Math.max(highest, name.number), 0)
    const attempt = this.#start([{ kind: 'lookup' }], { above, clock })
    this.#inFlight = { kind: 'lookup', attempt }
  }

  startOperations(taken: readonly QueuedCall[], clock: Clock): void {
    const attempt = this.#start(
      taken.flatMap(({ operations }) => operations),
      { above: 0, clock },
    )
    let offset = 0
    const parts = taken.map((queued) => {
      const slice = { offset, count: queued.operations.length }
      offset += slice.count
      return { queued, slice }
    })
    this.#inFlight = { kind: 'operations', attempt, parts }
    this.#markLeft()
  }

  #start(
    operations: readonly Operation[],
    { above, clock }: { readonly above: number; readonly clock: Clock },
  ): Attempt {
    this.#floor = Math.max(this.#floor + 1, above + 1, Math.floor(clock.wallClockUs))
    const fields = { lane: this.number, number: requestNumber(this.#floor), operations }
    const attempt = new Attempt(this.#context, makeRequest(this.#context, fields), clock.nowMs)
    attempt.start()
    return attempt
  }

  retry(): void {
    this.#inFlight?.attempt.again()
    this.#markLeft()
  }

  sessionUp(peer: ReplicaId): void {
    this.#inFlight?.attempt.sessionUp(peer)
    this.#markLeft()
  }

  /** From its first send on nobody can say that it was not executed; while nobody is connected there is none. */
  #markLeft(): void {
    const inFlight = this.#inFlight
    if (inFlight?.kind !== 'operations' || !inFlight.attempt.left) return
    const { name } = inFlight.attempt
    for (const { queued, slice } of inFlight.parts) {
      if (!queued.isRead) queued.call.whenUnanswered = (why) => new IndeterminateError(name, slice, why)
    }
  }

  #release(): void {
    this.#inFlight?.attempt.stop()
    this.#inFlight = undefined
  }

  /** After calls expired: what nobody waits for any more is put in doubt, or dropped when it never left. */
  sweep(): void {
    this.#lookups = this.#lookups.filter(({ call }) => call.live)
    const inFlight = this.#inFlight
    if (inFlight === undefined) return
    if (inFlight.kind === 'lookup') {
      const wanted = this.inService || this.#doubtful !== undefined || this.#lookups.length > 0
      if (!wanted) this.#release()
      return
    }
    if (inFlight.parts.some(({ queued }) => queued.call.live)) return
    if (inFlight.attempt.left) {
      this.#doubtful = inFlight.attempt
      this.#settled = false
    }
    this.#release()
  }

  // --- answers

  onReply(from: ReplicaId, reply: Reply, nowMs: number): void {
    const inFlight = this.#inFlight
    const verdict = inFlight?.attempt.add(from, reply, nowMs)
    if (inFlight !== undefined && verdict !== undefined) {
      this.#release()
      if (inFlight.kind === 'lookup') this.#onLookup(inFlight.attempt, verdict)
      else this.#onOperations(inFlight, verdict)
      return
    }
    const late = this.#doubtful?.add(from, reply, nowMs)
    if (late?.kind === 'executed') this.#settleDoubtful(executed(late.result))
  }

  #onOperations({ attempt, parts }: InFlight & { kind: 'operations' }, verdict: Verdict): void {
    if (verdict.kind === 'superseded') {
      this.#supersede(attempt, verdict)
      // Another process works here. Leave the lane to it: a lookup, which would supersede its request in turn, waits
      // until somebody asks.
      this.inService = false
      this.#settled = false
      for (const { queued } of parts) {
        this.#context.calls.reject(queued.call, queued.call.whenUnanswered('superseded'))
      }
      return
    }
    const results = decodeResults(verdict.result) ?? []
    for (const { queued, slice } of parts) {
      const travelled = { request: attempt.name, slice }
      this.#answer(queued, { results: results.slice(slice.offset, slice.offset + slice.count), travelled })
    }
    this.#answerLookups(attempt.name, executed(verdict.result))
  }

  #answer(
    { call, operations, isRead }: QueuedCall,
    said: { readonly results: readonly OperationResult[]; readonly travelled: Travelled },
  ): void {
    const { calls } = this.#context
    const answer = isRead ? valuesAnswer(operations, said) : resultsAnswer(operations, said)
    if (answer !== undefined) calls.resolve(call, answer)
    else calls.reject(call, new ProtocolError('a quorum agreed on results that this version cannot read'))
  }

  #supersede(attempt: Attempt, { entryNumber }: Verdict & { kind: 'superseded' }): void {
    this.#floor = Math.max(this.#floor, entryNumber)
    this.#context.effects.push({ type: 'observe', what: { kind: 'request-superseded', name: attempt.name } })
  }

  /** Superseded, the lookup is due again, above the entry that is there. */
  #onLookup(attempt: Attempt, verdict: Verdict): void {
    this.#settled = verdict.kind === 'executed'
    if (verdict.kind === 'superseded') return this.#supersede(attempt, verdict)
    const [result] = decodeResults(verdict.result) ?? []
    const entry = result?.kind === 'lookup' ? result.entry : null
    const entryNumber = entry?.number ?? 0
    this.#fence = { entryNumber, lookupNumber: attempt.name.number }
    if (entry !== null) {
      const name: RequestName = { ...attempt.name, number: entry.number, digest: entry.requestDigest }
      this.#context.outcomes.record(name, executed(entry.result))
    }
    if (this.#doubtful !== undefined)
      this.#settleDoubtful(this.#known(this.#doubtful.name) ?? { kind: 'unknown' })
    this.#lookups = this.#lookups.filter(({ call, name }) => {
      if (name.number >= attempt.name.number) return true
      this.#context.calls.resolve(call, {
        kind: 'outcome',
        outcome: this.#known(name) ?? { kind: 'unknown' },
      })
      return false
    })
  }

  #settleDoubtful(outcome: RequestOutcome): void {
    const name = this.#doubtful?.name
    this.#doubtful = undefined
    if (name === undefined) return
    this.#context.outcomes.record(name, outcome)
    const what = { kind: 'request-settled', name, outcome: outcome.kind } as const
    this.#context.effects.push({ type: 'observe', what })
    this.#answerLookups(name, outcome)
  }

  // --- lookups by name

  lookup(call: Call, name: RequestName): void {
    const outcome = this.#known(name)
    if (outcome !== undefined) return this.#context.calls.resolve(call, { kind: 'outcome', outcome })
    call.whenUnanswered = (why) => new UnavailableError('lookup', why)
    this.#lookups.push({ call, name })
  }

  #known(name: RequestName): RequestOutcome | undefined {
    const recorded = this.#context.outcomes.get(name)
    if (recorded !== undefined) return recorded
    const fence = this.#fence
    const fenced = fence !== undefined && fence.entryNumber < name.number && name.number < fence.lookupNumber
    return fenced ? { kind: 'not-executed' } : undefined
  }

  #answerLookups(name: RequestName, outcome: RequestOutcome): void {
    this.#lookups = this.#lookups.filter((waiting) => {
      if (waiting.name.number !== name.number || waiting.name.digest !== name.digest) return true
      this.#context.calls.resolve(waiting.call, { kind: 'outcome', outcome })
      return false
    })
  }
}

/** What a quorum agreed on but cannot be read is no outcome that anybody could use. */
function executed(result: Uint8Array): RequestOutcome {
  const results = decodeResults(result)
  return results === undefined ? { kind: 'unknown' } : { kind: 'executed', results }
}
