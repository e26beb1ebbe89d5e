import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HistoryEvent } from '../../../chaos/check/history.ts'
import { decodeHistoryLine, encodeHistoryEvent } from '../../../chaos/check/history-lines.ts'
import { requestNumber, seq } from '../../../protocol/types.ts'
import { editHistory, failuresOf, judged, propertyOf, Runs, textOf } from './synthetic/fixture.ts'

const runs = new Runs()
let whole = ''
beforeAll(async () => {
  whole = await runs.make({ batches: 40 })
})
afterAll(() => runs.remove())

/** What `change` makes of each event; nothing: it is left out. */
function changed(change: (event: HistoryEvent) => HistoryEvent | null): string {
  const run = runs.copy(whole)
  editHistory(run, (lines) =>
    lines.flatMap((line) => {
      const event = change(decodeHistoryLine(line))
      return event === null ? [] : [encodeHistoryEvent(event)]
    }),
  )
  return run
}

const isOk = (event: HistoryEvent, call: number) => event.type === 'ok' && event.call === call

describe('answers', () => {
  test('a result that never was', async () => {
    const run = changed((event) =>
      isOk(event, 11) && 'results' in event && event.type === 'ok'
        ? { ...event, results: event.results.map(() => ({ kind: 'opened', account: 'a1' }) as const) }
        : event,
    )
    const report = await judged(run)
    expect(failuresOf(report)).toContain('answers')
    expect(textOf(report, 'answers')).toMatch(
      /call 11 of caller \d, request 1000\/\d\/\d+ at seq \d+: its client was told other results than the model gives/,
    )
    expect(textOf(report, 'answers')).toMatch(/told: .*opened.*\nthe model says: .*/)
  })

  test('an answer to a request that was never executed', async () => {
    const run = changed((event) =>
      isOk(event, 11) && event.type === 'ok' && event.request !== null && 'results' in event
        ? { ...event, request: { ...event.request, number: requestNumber(5) } }
        : event,
    )
    expect(textOf(await judged(run), 'answers')).toMatch(
      /call 11 .* was answered \('ok'\), and its request 1000\/\d\/5 was never executed/,
    )
  })

  test('what was executed is not what was asked', async () => {
    const run = changed((event) =>
      event.type === 'invoke' && event.call === 11
        ? { ...event, what: { kind: 'submit', operations: [{ kind: 'balance', account: 'a1' }] } }
        : event,
    )
    expect(textOf(await judged(run), 'answers')).toMatch(
      /call 11 .*: what was executed is not what the call asked/,
    )
  })

  test('a lookup that said never, of a request that was executed', async () => {
    const run = changed((event) => {
      if (!isOk(event, 11) || event.type !== 'ok' || event.request === null) return event
      return { type: 'unknown', atUs: event.atUs, call: 11, code: 'timeout', request: event.request }
    })
    expect((await judged(run)).verdict).toBe('pass')
    editHistory(run, (lines) => [
      ...lines,
      encodeHistoryEvent({ type: 'settled', atUs: 9e9, call: 11, outcome: 'not-executed', results: null }),
    ])
    expect(textOf(await judged(run), 'answers')).toMatch(
      /call 11 .*: it was executed, and its client was told that it never will be/,
    )
  })

  test('a call that ends twice, and one that nobody made', async () => {
    const run = runs.copy(whole)
    editHistory(run, (lines) => [
      ...lines,
      encodeHistoryEvent({ type: 'fail', atUs: 9e9, call: 11, code: 'x' }),
      encodeHistoryEvent({ type: 'fail', atUs: 9e9, call: 9_999, code: 'x' }),
    ])
    const text = textOf(await judged(run), 'answers')
    expect(text).toMatch(/call 11: the history contradicts itself: it ended twice: 'ok' and 'fail'/)
    expect(text).toMatch(/call 9999: .* of a call that nobody made/)
  })
})

describe('serializability', () => {
  test('the order of the lines does not matter, their times do', async () => {
    const run = runs.copy(whole)
    editHistory(run, (lines) => lines.toReversed())
    expect((await judged(run)).verdict).toBe('pass')
  })

  test('a call that began when a later one was answered', async () => {
    // Call 21 and its like were executed before what was answered by then.
    const run = changed((event) => (event.call === 21 ? { ...event, atUs: event.atUs + 200_000 } : event))
    const report = await judged(run)
    expect(failuresOf(report)).toContain('serializability')
    expect(textOf(report, 'serializability')).toMatch(
      /call 21 was executed at seq \d+, and when it began call \d+ had been answered with seq \d+\ncall \d+ of caller \d+ ended at \d+ µs/,
    )
  })

  test('a stale quorum read', async () => {
    const events: HistoryEvent[] = []
    changedNothing((event) => events.push(event))
    const reads = events.filter((event) => event.type === 'ok' && 'values' in event)
    const late = reads.at(-1)
    const early = reads[0]
    if (late?.type !== 'ok' || early?.type !== 'ok' || !('values' in early)) throw new Error('no reads')
    const run = changed((event) =>
      isOk(event, late.call) ? { ...early, atUs: event.atUs, call: late.call } : event,
    )
    const report = await judged(run)
    expect(textOf(report, 'serializability')).toMatch(
      new RegExp(
        `call ${late.call} read a state before seq \\d+, and when it began call \\d+ had been answered`,
      ),
    )
  })

  test('a balance that never was', async () => {
    const run = changed((event) =>
      event.type === 'ok' && 'values' in event
        ? { ...event, values: event.values.map((value) => ({ ...value, balance: 77n })) }
        : event,
    )
    expect(textOf(await judged(run), 'serializability')).toMatch(
      /read 77 of a\d at version \d+, which never was/,
    )
  })

  test('values that were never there together', async () => {
    const run = changed((event) => {
      if (event.type !== 'ok' || !('values' in event)) return event
      const [value, ...rest] = event.values
      if (value === undefined || event.call > 12) return event
      return { ...event, values: [{ account: value.account, balance: 1_000_000n, version: seq(0) }, ...rest] }
    })
    expect(textOf(await judged(run), 'serializability')).toMatch(
      /read (values that were never there together|a state before seq)/,
    )
  })
})

describe('a history as a file', () => {
  test('that cannot be read leaves it unknown, with its line', async () => {
    const run = runs.copy(whole)
    editHistory(run, (lines) => lines.map((line, i) => (i === 4 ? 'nonsense' : line)))
    const report = await judged(run)
    expect(report.verdict).toBe('unknown')
    expect(propertyOf(report, 'answers').notChecked.join()).toMatch(/history\.jsonl: line 5: .*JSON/)
  })
})

function changedNothing(look: (event: HistoryEvent) => void): void {
  try {
    changed((event) => {
      look(event)
      return event
    })
  } catch {
    // The fixture refuses an edit that changes nothing.
  }
}
