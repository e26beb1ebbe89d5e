import { describe, expect, test } from 'vitest'
import type { HistoryEvent } from '../../../chaos/check/history.ts'
import { judgeLinearizability } from '../../../chaos/check/properties/linearizability.ts'
import { searchOrder } from '../../../chaos/check/witness/search.ts'
import { SmallBank } from '../../../chaos/check/witness/small-bank.ts'
import type { Operation, OperationResult, ReadValue } from '../../../protocol/operations.ts'
import { clientId, lane, requestNumber, seq, ZERO_DIGEST } from '../../../protocol/types.ts'
import { ALICE, genesisOf, TELLER } from '../db/fixture.ts'

const genesis = genesisOf()
const request = {
  client: clientId(TELLER),
  lane: lane(0),
  number: requestNumber(1),
  digest: ZERO_DIGEST,
  offset: 0,
  count: 1,
}

/** Begins and ends at these times; told nothing when `end` is null. */
function call(
  id: number,
  [begin, end]: readonly [number, number | null],
  operations: readonly Operation[],
  results: readonly OperationResult[] = [],
): HistoryEvent[] {
  const what = { kind: 'submit', operations } as const
  const invoke: HistoryEvent = { type: 'invoke', atUs: begin, call: id, caller: id, client: TELLER, what }
  return end === null ? [invoke] : [invoke, { type: 'ok', atUs: end, call: id, request, results }]
}

function read(
  id: number,
  [begin, end]: readonly [number, number],
  balances: Record<string, bigint | null>,
): HistoryEvent[] {
  const accounts = Object.keys(balances)
  const values = accounts.map(
    (account): ReadValue => ({ account, balance: balances[account] ?? null, version: seq(0) }),
  )
  return [
    { type: 'invoke', atUs: begin, call: id, caller: id, client: TELLER, what: { kind: 'read', accounts } },
    { type: 'ok', atUs: end, call: id, request: null, values },
  ]
}

const deposit = (account: string, amount: bigint): Operation => ({ kind: 'deposit', account, amount })
const moved = (debitBalance: bigint, creditBalance: bigint): OperationResult => ({
  kind: 'transferred',
  id: { seq: seq(1), index: 0 },
  debitBalance,
  creditBalance,
})
const refused = (
  code: Extract<OperationResult, { kind: 'refused' }>['code'],
  index?: number,
): OperationResult =>
  index === undefined ? { kind: 'refused', code, detail: '' } : { kind: 'refused', code, detail: '', index }

const judge = (events: readonly HistoryEvent[], knowsAll = true) =>
  judgeLinearizability(events, { genesis, knowsAll, disturbed: false })
const verdict = (...events: readonly HistoryEvent[][]) => judge(events.flat()).verdict

// Genesis: a 100, b 50, c 0; @external -150.
const OUTSIDE = -150n

describe('an order is found where there is one', () => {
  test('of calls one after the other, and of overlapping ones in any order', () => {
    expect(
      verdict(
        call(1, [0, 10], [deposit('a', 5n)], [moved(OUTSIDE - 5n, 105n)]),
        read(2, [11, 12], { a: 105n, b: 50n }),
      ),
    ).toBe('pass')
    // The second took effect first.
    expect(
      verdict(
        call(1, [0, 10], [deposit('a', 5n)], [moved(OUTSIDE - 7n, 107n)]),
        call(2, [1, 9], [deposit('a', 2n)], [moved(OUTSIDE - 2n, 102n)]),
      ),
    ).toBe('pass')
  })

  test('with a call of which nobody knows, that happened or did not', () => {
    const pending = call(1, [0, null], [deposit('a', 5n)])
    expect(verdict(pending, read(2, [11, 12], { a: 105n }))).toBe('pass')
    expect(verdict(pending, read(2, [11, 12], { a: 100n }))).toBe('pass')
    expect(verdict(pending, read(2, [11, 12], { a: 105n }), read(3, [13, 14], { a: 100n }))).toBe('fail')
  })

  test('with refusals, groups and accounts that are opened', () => {
    const open: Operation = { kind: 'open', account: 'n', owner: clientId(ALICE), customer: null }
    const transfer = { kind: 'transfer', from: 'n', to: 'a', amount: 3n } as const
    const group: Operation = { kind: 'linked', operations: [{ ...transfer, from: 'b' }, transfer] }
    expect(
      verdict(
        call(1, [0, 1], [transfer], [refused('unknown-account')]),
        call(2, [2, 3], [open, open], [{ kind: 'opened', account: 'n' }, refused('account-exists')]),
        call(3, [4, 5], [transfer], [refused('insufficient-funds')]),
        call(4, [6, 7], [group], [refused('linked-aborted', 1)]),
        read(5, [8, 9], { a: 100n, b: 50n, n: 0n, nobody: null }),
      ),
    ).toBe('pass')
  })

  test('where balances at the beginning are not known they show in the answers', () => {
    const events = [
      ...call(1, [0, 10], [deposit('z', 5n)], [moved(-1_000n, 905n)]),
      ...read(2, [11, 12], { z: 905n, y: 7n }),
      ...call(3, [13, 14], [{ kind: 'transfer', from: 'y', to: 'z', amount: 7n }], [moved(0n, 912n)]),
    ]
    expect(judge(events, false).verdict).toBe('pass')
    expect(judge(events, true).verdict).toBe('fail')
    expect(judge([...events, ...read(4, [15, 16], { y: 7n })], false).verdict).toBe('fail')
  })
})

describe('where there is none it is said', () => {
  test('of a read that is older than what had been answered', () => {
    const report = judge([
      ...call(1, [0, 10], [deposit('a', 5n)], [moved(OUTSIDE - 5n, 105n)]),
      ...read(2, [11, 12], { a: 100n }),
    ])
    expect(report.verdict).toBe('fail')
    expect(report.findings[0]?.what).toBe(
      'no order of 2 calls explains what they were told: 1 can be ordered, and then none of calls 2 can come next',
    )
  })

  test('of money that was spent twice', () => {
    const spend = (to: string): Operation => ({ kind: 'transfer', from: 'a', to, amount: 100n })
    expect(
      verdict(
        call(1, [0, 10], [spend('b')], [moved(0n, 150n)]),
        call(2, [1, 9], [spend('c')], [moved(0n, 100n)]),
      ),
    ).toBe('fail')
  })

  test('of two reads that saw two writes in different orders', () => {
    expect(
      verdict(
        call(1, [0, 100], [deposit('a', 1n)], [moved(OUTSIDE - 1n, 101n)]),
        call(2, [0, 100], [deposit('b', 1n)], [moved(OUTSIDE - 2n, 51n)]),
        read(3, [10, 20], { a: 101n, b: 50n }),
        read(4, [30, 40], { a: 100n, b: 51n }),
      ),
    ).toBe('fail')
  })

  test('of a call that a lookup said was not executed', () => {
    const [invoke] = call(1, [0, null], [deposit('a', 5n)])
    if (invoke === undefined) throw new Error('a call begins')
    const settled: HistoryEvent = {
      type: 'settled',
      atUs: 5,
      call: 1,
      outcome: 'not-executed',
      results: null,
    }
    expect(verdict([invoke, settled], read(2, [6, 7], { a: 105n }))).toBe('fail')
    expect(verdict([invoke, settled], read(2, [6, 7], { a: 100n }))).toBe('pass')
  })
})

test('a search that takes too long gives up, and that is no verdict', () => {
  const calls = Array.from({ length: 14 }, (_, i) => ({
    call: i,
    client: TELLER,
    operations: [deposit('a', 2n ** BigInt(i))],
    results: null,
    values: null,
    invokedUs: 0,
    endedUs: 10,
  }))
  const impossible = {
    ...calls[0],
    call: 99,
    operations: [],
    results: null,
    values: [{ account: 'a', balance: -1n, version: seq(0) }],
  }
  const bank = new SmallBank(genesis, { knowsAll: true })
  const all = [...calls, { client: TELLER, invokedUs: 0, endedUs: 10, ...impossible }]
  expect(searchOrder(bank, all, { stepsMax: 500 }).kind).toBe('gave-up')
})

test('it says nothing where somebody else moved money meanwhile', () => {
  const report = judgeLinearizability([], { genesis, knowsAll: true, disturbed: true })
  expect(report).toMatchObject({ verdict: 'unknown', isExpected: false })
})
