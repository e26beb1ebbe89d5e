import type { LaneEntry } from '../../../db/store.ts'
import type { Request } from '../../../protocol/messages.ts'
import type { ReadValue } from '../../../protocol/operations.ts'
import { decodeResults, encodeResults } from '../../../protocol/results-codec.ts'
import type { PropertyReport } from '../finding.ts'
import type { Call, HistoryFlaw } from '../history/call.ts'
import { bytesOf, type Encoded, encoded, encodeOperations } from '../history/call.ts'
import type { CallsByRequest } from '../history/calls-by-request.ts'
import { short, Tally } from '../tally.ts'

/**
 * What clients were told is what was executed: each answered call's request stands in the log, asks what the call asked,
 * and the model gives the bytes that the client got. A call of which a lookup said that it never executes does not.
 */
export class AnswersCheck {
  readonly tally = new Tally('answers')
  readonly #calls: CallsByRequest

  constructor(calls: CallsByRequest) {
    this.#calls = calls
  }

  onFlaws(flaws: readonly HistoryFlaw[]): void {
    for (const { call, what } of flaws)
      this.tally.found({ what: `call ${call}: the history contradicts itself: ${what}` })
  }

  /** The model executed `request` at `seq`: `entry` has what it answered. */
  onExecuted(seq: number, request: Request, entry: LaneEntry): void {
    for (const call of this.#calls.of(entry.client, entry.lane, entry.number)) {
      call.seq = seq
      this.tally.looked(call.call)
      const wrong = contradictionOf(call, request, entry)
      if (wrong === null) continue
      const name = `${entry.client}/${entry.lane}/${entry.number}`
      this.tally.found({
        what: `call ${call.call} of caller ${call.caller}, request ${name} at seq ${seq}: ${wrong.what}`,
        seq,
        details: wrong.details,
      })
    }
  }

  /** `upTo`: the log was read from its beginning to here. `isWhole`: nothing can have been executed beyond. */
  finish(calls: Iterable<Call>, { isWhole }: { readonly isWhole: boolean }): void {
    let missing = 0
    let failed = 0
    for (const call of calls) {
      if (call.outcome === 'fail') failed += 1
      if (call.seq !== 0 || call.request === null) continue
      if (call.outcome === 'not-executed') this.tally.looked(call.call)
      if (call.outcome !== 'ok' && call.outcome !== 'executed') continue
      if (isWhole) this.#neverExecuted(call)
      else missing += 1
    }
    if (missing > 0)
      this.tally.doubt(`${missing} answered calls are beyond what could be replayed, and were not looked at`)
    if (failed > 0)
      this.tally.leftOut(
        `${failed} calls failed before they had a request's name: nothing tells what was executed of them`,
      )
  }

  #neverExecuted({ call, caller, request, outcome }: Call): void {
    this.tally.looked(call)
    const name = request === null ? '' : `${request.client}/${request.lane}/${request.number}`
    this.tally.found({
      what: `call ${call} of caller ${caller} was answered ('${outcome}'), and its request ${name} was never executed`,
      details: request === null ? [] : [`the digest it was told: ${short(request.digest)}`],
    })
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}

type Wrong = { readonly what: string; readonly details: readonly string[] }

function contradictionOf(call: Call, request: Request, entry: LaneEntry): Wrong | null {
  const part = call.request
  if (part === null) return null
  if (call.outcome === 'not-executed') {
    // A lookup said so of the request of that digest; another may have the number.
    if (part.digest !== entry.requestDigest) return null
    return { what: 'it was executed, and its client was told that it never will be', details: [] }
  }
  const wasAnswered = call.outcome === 'ok' || call.outcome === 'executed'
  if (part.digest !== entry.requestDigest) {
    if (!wasAnswered) return null
    const details = [`told: ${short(part.digest)}`, `executed: ${short(entry.requestDigest)}`]
    return { what: 'a request of another digest was executed under its number', details }
  }
  return contradictionIn(call, request, { entry, offset: part.offset, count: part.count })
}

type Slice = { readonly entry: LaneEntry; readonly offset: number; readonly count: number }

function contradictionIn(call: Call, request: Request, { entry, offset, count }: Slice): Wrong | null {
  const isWhole = offset === 0 && count === request.operations.length
  if (call.asked !== null && !isAsked(call.asked, request, { isWhole, offset, count }))
    return { what: 'what was executed is not what the call asked', details: [] }
  if (call.told !== null) {
    if (isWhole && encoded(entry.result) === call.told) return null
    const results = (decodeResults(entry.result) ?? []).slice(offset, offset + count)
    if (encoded(encodeResults(results)) === call.told) return null
    const told = decodeResults(bytesOf(call.told))
    const details = [`told: ${textOf(told)}`, `the model says: ${textOf(results)}`]
    return { what: 'its client was told other results than the model gives', details }
  }
  return call.values === null ? null : contradictionInValues(call.values, { entry, offset, count })
}

type Part = { readonly isWhole: boolean; readonly offset: number; readonly count: number }

function isAsked(asked: Encoded, { operations, body }: Request, { isWhole, offset, count }: Part): boolean {
  // A body ends in its operations, encoded like this by whoever uses this program.
  if (isWhole && encoded(body.subarray(body.length - asked.length)) === asked) return true
  return encodeOperations(isWhole ? operations : operations.slice(offset, offset + count)) === asked
}

/** A read that went through the order: balances in the order asked, a refusal for an account that is not there. */
function contradictionInValues(values: readonly ReadValue[], { entry, offset, count }: Slice): Wrong | null {
  const results = (decodeResults(entry.result) ?? []).slice(offset, offset + count)
  const isEqual =
    results.length === values.length &&
    results.every((result, i) => {
      const value = values[i]
      if (value === undefined) return false
      if (result.kind !== 'balance') return value.balance === null
      const { account, balance, version } = result
      return value.account === account && value.balance === balance && value.version === version
    })
  if (isEqual) return null
  const details = [`told: ${textOf(values)}`, `the model says: ${textOf(results)}`]
  return { what: 'its client was told other balances than the model gives', details }
}

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}` : inner)) ?? 'nothing'
