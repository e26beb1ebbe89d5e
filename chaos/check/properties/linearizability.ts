import type { Genesis } from '../../../protocol/config.ts'
import type { PropertyReport } from '../finding.ts'
import type { HistoryEvent } from '../history.ts'
import { listed, Tally } from '../tally.ts'
import { searchOrder, type TimedCall } from '../witness/search.ts'
import { SmallBank } from '../witness/small-bank.ts'

/** So many calls of a history are looked at, from its beginning: there every balance is known. */
export const WITNESS_CALLS_MAX = 400
const STEPS_MAX = 200_000
const NAMED_MAX = 8

/**
 * Looks for an order of the first calls of a history that explains what each was told, from the answers and their times
 * alone: an independent witness, which knows nothing of logs or databases.
 *
 * `knowsAll`: nothing was moved before the first call. `disturbed`: somebody else moved money meanwhile, who is not in
 * the history.
 */
export function judgeLinearizability(
  events: readonly HistoryEvent[],
  args: { readonly genesis: Genesis; readonly knowsAll: boolean; readonly disturbed: boolean },
): PropertyReport {
  const tally = new Tally('linearizability')
  if (args.disturbed) {
    tally.leftOut('requests that are not in the history were executed meanwhile')
    return tally.report()
  }
  const calls = timedCalls(events)
  if (calls.length === 0) {
    tally.leftOut('the history has no calls')
    return tally.report()
  }
  const result = searchOrder(new SmallBank(args.genesis, { knowsAll: args.knowsAll }), calls, {
    stepsMax: STEPS_MAX,
  })
  if (result.kind === 'gave-up') {
    tally.leftOut(`no order was found in ${STEPS_MAX} steps, nor that there is none`)
    return tally.report()
  }
  for (const { call } of calls) tally.looked(call)
  tally.note(`${result.steps} steps`)
  if (result.kind === 'contradiction') {
    const stuck = calls.filter(({ call }) => result.stuck.includes(call)).slice(0, NAMED_MAX)
    tally.found({
      what: `no order of ${calls.length} calls explains what they were told: ${result.reached} can be ordered, and then none of calls ${listed(stuck.map(({ call }) => call))} can come next`,
      details: stuck.map(
        ({ call, operations, results, values }) =>
          `call ${call}: ${textOf(values ?? operations)}${results === null ? '' : ` was told ${textOf(results)}`}`,
      ),
    })
  }
  return tally.report()
}

/** What is under way at the end of these events may have happened or not. */
function timedCalls(events: readonly HistoryEvent[]): TimedCall[] {
  const calls = new Map<number, TimedCall>()
  const never = new Set<number>()
  for (const event of [...events].sort((a, b) => a.atUs - b.atUs)) {
    if (event.type === 'invoke') calls.set(event.call, begun(event))
    const call = calls.get(event.call)
    if (call === undefined) continue
    if (event.type === 'fail' || (event.type === 'settled' && event.outcome === 'not-executed'))
      never.add(event.call)
    else if (event.type === 'ok' || (event.type === 'settled' && event.outcome === 'executed'))
      calls.set(event.call, ended(call, event))
  }
  return [...calls.values()].filter(({ call, operations, endedUs }) => {
    // A read that got no answer says nothing.
    const isEmpty = operations.length === 0 && !Number.isFinite(endedUs)
    return !never.has(call) && !isEmpty
  })
}

function begun({ call, client, atUs, what }: Extract<HistoryEvent, { type: 'invoke' }>): TimedCall {
  const operations = what.kind === 'submit' ? what.operations : []
  return {
    call,
    client,
    operations,
    results: null,
    values: null,
    invokedUs: atUs,
    endedUs: Number.POSITIVE_INFINITY,
  }
}

function ended(call: TimedCall, event: Extract<HistoryEvent, { type: 'ok' | 'settled' }>): TimedCall {
  const endedUs = event.atUs
  if (event.type === 'settled') return { ...call, endedUs, results: event.results }
  return 'values' in event
    ? { ...call, endedUs, values: event.values }
    : { ...call, endedUs, results: event.results }
}

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? `${inner}` : inner)) ?? ''
