import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CallId } from '../../../client/effects.ts'
import { IndeterminateError, NotSentError, OverloadedError } from '../../../client/errors.ts'
import type { Reply, Request } from '../../../protocol/messages.ts'
import type { OperationResult } from '../../../protocol/operations.ts'
import { encodeResults } from '../../../protocol/results-codec.ts'
import { clientId, requestNumber } from '../../../protocol/types.ts'
import { type Behaviour, deposit, FakeCluster, SELF } from './fake-cluster.ts'

const LATE = 1_000_000

const creditOf = (results: readonly OperationResult[]): bigint | undefined => {
  const [result] = results
  return result?.kind === 'transferred' ? result.creditBalance : undefined
}

const silent: Behaviour = () => undefined
/** The same lie from everybody who tells it. */
const lie: Behaviour = (honest) =>
  honest.type === 'reply' && honest.outcome.kind === 'executed'
    ? {
        ...honest,
        outcome: { kind: 'executed', result: encodeResults([{ kind: 'opened', account: 'lie' }]) },
      }
    : honest

describe('[NC1] requests', () => {
  test('[NC1] a single call needs one lane: a lookup, then the request', () => {
    const cluster = new FakeCluster()
    const call = cluster.core.submit([deposit('A', 100)], LATE)
    cluster.settle()
    expect(creditOf(cluster.resultsOf(call))).toBe(100n)
    expect(cluster.executed.map(({ operations }) => operations[0]?.kind)).toEqual(['lookup', 'deposit'])
    expect(cluster.timers).toEqual(['deadline'])
  })

  test('[NC1] calls of one turn share a request, and each gets its own results', () => {
    const cluster = new FakeCluster()
    const a = cluster.core.submit([deposit('A', 1), deposit('B', 2)], LATE)
    const b = cluster.core.submit([deposit('A', 4)], LATE)
    cluster.settle()
    expect(cluster.requests).toHaveLength(1)
    expect(cluster.resultsOf(a)).toHaveLength(2)
    expect(creditOf(cluster.resultsOf(a))).toBe(1n)
    expect(creditOf(cluster.resultsOf(b))).toBe(5n)
  })

  test('[NC1] 64 closed-loop callers keep every lane busy with an equal share', () => {
    const lanes = 4
    const cluster = new FakeCluster({ lanes, divideOperationsMin: 8 })
    // One lane is in service already, and could take them all.
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    let waiting: CallId[] = []
    for (let round = 0; round < 20; round++) {
      waiting = waiting.filter((call) => !cluster.answers.has(call))
      while (waiting.length < 64) waiting.push(cluster.core.submit([deposit('A', 1)], LATE))
      cluster.turn()
    }
    const sizes = cluster.requests.slice(-2 * lanes).map(({ operations }) => operations.length)
    expect(sizes).toEqual(new Array(2 * lanes).fill(64 / lanes))
    expect(new Set(cluster.requests.slice(-lanes).map(({ lane }) => lane)).size).toBe(lanes)
  })

  test('[NC1] a lane that carries little does not keep the others from an equal share', () => {
    const cluster = new FakeCluster({ lanes: 2, divideOperationsMin: 8 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    // One caller on the first lane, whose answer is late; 63 on the second.
    cluster.deaf = true
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.deaf = false
    for (let i = 0; i < 63; i++) cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(cluster.requests.at(-1)?.operations.length).toBeLessThanOrEqual(32)
  })

  test('[NC1] requests keep within genesis: operations and bytes, calls whole', () => {
    const cluster = new FakeCluster({ lanes: 1, requestOperationsMax: 5 })
    const calls = Array.from({ length: 7 }, () =>
      cluster.core.submit([deposit('A', 1), deposit('B', 1)], LATE),
    )
    cluster.settle()
    expect(cluster.requests.map(({ operations }) => operations.length)).toEqual([4, 4, 4, 2])
    for (const call of calls) expect(cluster.resultsOf(call)).toHaveLength(2)
    expect(() => cluster.core.submit(new Array(6).fill(deposit('A', 1)), LATE)).toThrow('at most 5')
  })

  test("[NC1] histories of several callers do not spend the bank's bound for one request", () => {
    const cluster = new FakeCluster({ lanes: 1 })
    const history = { kind: 'history', account: 'A', before: null, limit: 100 } as const
    for (let i = 0; i < 12; i++) cluster.core.submit([history], LATE)
    cluster.settle()
    expect(cluster.requests.map(({ operations }) => operations.length)).toEqual([5, 5, 2])
  })

  test('[NC1] each of arbitrary concurrent calls gets exactly its own results, once', () => {
    const plan = fc.array(
      fc.record({ sizes: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 12 }), turns: fc.nat(2) }),
      { maxLength: 12 },
    )
    const lanes = fc.integer({ min: 1, max: 4 })
    fc.assert(
      fc.property(plan, lanes, fc.integer({ min: 5, max: 20 }), (steps, laneCount, requestOperationsMax) => {
        const cluster = new FakeCluster({ lanes: laneCount, requestOperationsMax })
        const expected = new Map<CallId, bigint[]>()
        let account = 0
        for (const { sizes, turns } of steps) {
          for (const size of sizes) {
            // Every operation credits an account of its own, so its result shows whose it is.
            const amounts = Array.from({ length: size }, () => BigInt(++account))
            const operations = amounts.map((amount) => deposit(`a${amount}`, amount))
            expected.set(cluster.core.submit(operations, LATE), amounts)
          }
          for (let i = 0; i < turns; i++) cluster.turn()
        }
        cluster.settle()
        for (const [call, amounts] of expected) {
          const credits = cluster.resultsOf(call).map((result) => creditOf([result]))
          expect(credits).toEqual(amounts)
        }
        for (const { operations } of cluster.requests) {
          expect(operations.length).toBeLessThanOrEqual(requestOperationsMax)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('what waits is bounded', () => {
    const cluster = new FakeCluster({ queueOperationsMax: 3 }, { sessions: false })
    cluster.core.submit([deposit('A', 1), deposit('A', 1)], LATE)
    expect(() => cluster.core.submit([deposit('A', 1), deposit('A', 1)], LATE)).toThrow(OverloadedError)
    cluster.core.submit([deposit('A', 1)], LATE)
  })
})

describe('[NC6] answers', () => {
  test('[NC6] f liars who agree cannot make a result, nor block one', () => {
    for (const [n, f] of [
      [4, 1],
      [7, 2],
      [8, 2],
    ] as const) {
      const cluster = new FakeCluster({ replicas: n })
      for (let id = 0; id < f; id++) cluster.behaviours.set(n - 1 - id, lie)
      const call = cluster.core.submit([deposit('A', 100)], LATE)
      cluster.settle()
      expect(creditOf(cluster.resultsOf(call))).toBe(100n)
    }
  })

  test('[NC6] one replica that answers often has one vote', () => {
    const cluster = new FakeCluster()
    const call = cluster.core.submit([deposit('A', 100)], LATE)
    cluster.settle()
    expect(cluster.answers.has(call)).toBe(true)
    const next = cluster.core.submit([deposit('A', 1)], LATE)
    for (const id of [0, 1, 2]) cluster.behaviours.set(id, silent)
    cluster.settle()
    const reply = replyTo(cluster.executed.at(-1), encodeResults([{ kind: 'opened', account: 'lie' }]))
    for (let i = 0; i < 10; i++) cluster.hear(3, reply)
    expect(cluster.answers.has(next)).toBe(false)
  })

  test('[NC6] q - 1 equal answers are not enough; the q-th is', () => {
    const cluster = new FakeCluster()
    cluster.behaviours.set(3, silent)
    cluster.behaviours.set(2, silent)
    const call = cluster.core.submit([deposit('A', 100)], LATE)
    cluster.advance(3_000)
    expect(cluster.answers.has(call)).toBe(false)
    cluster.behaviours.delete(2)
    cluster.advance(3_000)
    expect(creditOf(cluster.resultsOf(call))).toBe(100n)
  })

  test('[NC6] a liar who calls everything superseded, at once and at every turn, delays nothing', () => {
    const cluster = new FakeCluster()
    cluster.behaviours.set(0, (honest) =>
      honest.type === 'reply'
        ? {
            ...honest,
            outcome: { kind: 'superseded', entryNumber: requestNumber(Number.MAX_SAFE_INTEGER) },
          }
        : honest,
    )
    const calls = [1, 2, 3].map((amount) => {
      const call = cluster.core.submit([deposit('A', amount)], LATE)
      cluster.settle()
      return call
    })
    expect(calls.map((call) => creditOf(cluster.resultsOf(call)))).toEqual([1n, 3n, 6n])
    expect(Math.max(...cluster.executed.map(({ number }) => number))).toBeLessThan(2 ** 52)
  })
})

describe('sending again', () => {
  test('[NC6] to all at once, and again with back-off: what only the primary had, nobody else could time', () => {
    const cluster = new FakeCluster()
    cluster.cut = true
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(cluster.sent.map(({ to }) => to)).toEqual([0, 1, 2, 3])
    cluster.advance(150)
    expect(cluster.sent.map(({ to }) => to)).toEqual([0, 1, 2, 3, 0, 1, 2, 3])
    cluster.advance(150)
    expect(cluster.sent).toHaveLength(8)
    cluster.advance(150)
    expect(cluster.sent).toHaveLength(12)
    cluster.cut = false
    cluster.advance(2_000)
    expect(cluster.answers.size).toBe(1)
  })

  test('without a session nothing is sent; the first session-up sends what waits', () => {
    const cluster = new FakeCluster({}, { sessions: false })
    const call = cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(cluster.sent).toEqual([])
    for (const id of [3, 2, 1]) cluster.sessionUp(id)
    cluster.settle()
    expect(cluster.answers.has(call)).toBe(true)
  })

  test('a replica whose session came back gets what is outstanding', () => {
    const cluster = new FakeCluster()
    cluster.cut = true
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.cut = false
    cluster.sessionDown(0)
    cluster.sessionUp(0)
    cluster.settle()
    expect(cluster.answers.size).toBe(1)
  })
})

function replyTo(request: Request | undefined, result: Uint8Array): Reply {
  if (request === undefined) throw new Error('nothing was executed')
  const { client, lane, number, digest } = request
  const outcome = { kind: 'executed', result } as const
  return { type: 'reply', client, lane, number, requestDigest: digest, outcome }
}

describe('[NC5] numbers and doubt', () => {
  test('[NC5] an entry beyond the wall clock: the lookup jumps past it', () => {
    const cluster = new FakeCluster({ lanesPerClientMax: 2 })
    const ahead = cluster.wallClockUs + 1_000_000_000
    for (const lane of [0, 1]) foreignRequest(cluster, lane, ahead)
    const call = cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(creditOf(cluster.resultsOf(call))).toBe(1n)
    expect(cluster.requests.at(-1)?.number).toBeGreaterThan(ahead)
    // The superseded lookup was not ordered; its successor was, once.
    expect(cluster.executed.filter(({ operations }) => operations[0]?.kind === 'lookup')).toHaveLength(1)
  })

  test('[NC5] liars cannot push the number beyond what a correct replica has', () => {
    const cluster = new FakeCluster({ lanesPerClientMax: 2 })
    const ahead = cluster.wallClockUs + 1_000_000_000
    for (const lane of [0, 1]) foreignRequest(cluster, lane, ahead)
    cluster.behaviours.set(2, (honest) =>
      honest.type === 'reply'
        ? { ...honest, outcome: { kind: 'superseded', entryNumber: requestNumber(2 ** 53 - 1) } }
        : honest,
    )
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(cluster.requests.at(-1)?.number).toBeLessThan(ahead + 10)
  })

  test('[NC5] no answer by the deadline is indeterminate and names the request', () => {
    const cluster = new FakeCluster()
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.deaf = true
    const first = cluster.core.submit([deposit('A', 1)], cluster.nowMs + 500)
    const second = cluster.core.submit([deposit('A', 1), deposit('A', 1)], cluster.nowMs + 500)
    cluster.advance(500)
    const error = indeterminate(cluster, second)
    expect(indeterminate(cluster, first).request).toEqual(error.request)
    expect(error.slice).toEqual({ offset: 1, count: 2 })
    expect(error.request.digest).toBe(cluster.requests.at(-1)?.digest)
  })

  test('[NC5] in doubt, executed: the fencing lookup finds out, and lookup answers from memory', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.deaf = true
    const call = cluster.core.submit([deposit('A', 10)], cluster.nowMs + 500)
    cluster.advance(2_000)
    const { request } = indeterminate(cluster, call)
    cluster.deaf = false
    cluster.advance(5_000)
    const executed = cluster.executed.length
    const lookup = cluster.core.lookup(request, LATE)
    cluster.settle()
    expect(cluster.outcomeOf(lookup)).toBe('executed')
    expect(cluster.executed).toHaveLength(executed)
    // The lane is back in service, and an answer that comes even later is not counted for anything.
    const next = cluster.core.submit([deposit('A', 100)], cluster.nowMs + 500)
    cluster.settle()
    expect(creditOf(cluster.resultsOf(next))).toBe(111n)
  })

  test('[NC5] in doubt, never ordered: fenced, not executed, and never will be', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.cut = true
    const call = cluster.core.submit([deposit('A', 10)], cluster.nowMs + 500)
    cluster.advance(2_000)
    const error = indeterminate(cluster, call)
    const withheld = cluster.sent
      .map(({ message }) => message)
      .find((m) => m.type === 'request' && m.digest === error.request.digest)
    const lookup = cluster.core.lookup(error.request, LATE)
    cluster.settle()
    expect(cluster.outcomeOf(lookup)).toBeUndefined()
    cluster.cut = false
    cluster.advance(5_000)
    expect(cluster.outcomeOf(lookup)).toBe('not-executed')
    if (withheld?.type !== 'request') throw new Error('the request was not sent')
    expect(cluster.order(withheld)).toBe(false)
  })

  test('[NC5] in doubt, answered late: known without a lookup', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.deaf = true
    const call = cluster.core.submit([deposit('A', 10)], cluster.nowMs + 500)
    cluster.advance(500)
    const { request } = indeterminate(cluster, call)
    const late = cluster.requests.at(-1)
    const result = late === undefined ? undefined : cluster.lanes.get(late.lane)?.real?.result
    for (const id of [0, 1, 2]) cluster.hear(id, replyTo(late, result ?? new Uint8Array()))
    const lookup = cluster.core.lookup(request, LATE)
    cluster.flush()
    expect(cluster.outcomeOf(lookup)).toBe('executed')
  })

  test('[NC5] a call still queued at its deadline was certainly not executed', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.cut = true
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    const queued = cluster.core.submit([deposit('A', 1)], cluster.nowMs + 500)
    cluster.advance(500)
    expect(cluster.errors.get(queued)).toBeInstanceOf(NotSentError)
    cluster.cut = false
    cluster.advance(5_000)
    expect(cluster.requests).toHaveLength(1)
  })

  test('[NC5] a request that met no connected replica was certainly not executed', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    for (let id = 0; id < 4; id++) cluster.sessionDown(id)
    const call = cluster.core.submit([deposit('A', 1)], cluster.nowMs + 500)
    cluster.advance(500)
    expect(cluster.errors.get(call)).toBeInstanceOf(NotSentError)
    for (let id = 0; id < 4; id++) cluster.sessionUp(id)
    const next = cluster.core.submit([deposit('A', 5)], cluster.nowMs + 500)
    cluster.settle()
    expect(creditOf(cluster.resultsOf(next))).toBe(6n)
  })

  test('[NC5] superseded by another process of the same key: indeterminate, and another lane serves', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    const lane = cluster.requests[0]?.lane ?? -1
    foreignRequest(cluster, lane, cluster.wallClockUs + 50)
    const call = cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(indeterminate(cluster, call).why).toBe('superseded')
    const next = cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    expect(creditOf(cluster.resultsOf(next))).toBe(2n)
    expect(cluster.requests.at(-1)?.lane).not.toBe(lane)
    // Asked, the lane tells that a later request hides it.
    const lookup = cluster.core.lookup(indeterminate(cluster, call).request, LATE)
    cluster.settle()
    expect(cluster.outcomeOf(lookup)).toBe('unknown')
  })

  test("[NC5] an earlier process' request is looked up by its name", () => {
    const earlier = new FakeCluster({ lanes: 1 })
    earlier.core.submit([deposit('A', 7)], LATE)
    earlier.settle()
    const [request] = earlier.requests
    if (request === undefined) throw new Error('nothing was executed')
    const later = new FakeCluster()
    for (const [lane, state] of earlier.lanes) later.lanes.set(lane, state)
    later.wallClockUs = earlier.wallClockUs + 1_000_000
    const requestName = { client: SELF, lane: request.lane, number: request.number, digest: request.digest }
    const executed = later.core.lookup(requestName, LATE)
    const above = later.core.lookup({ ...requestName, number: requestNumber(request.number + 5) }, LATE)
    const below = later.core.lookup({ ...requestName, number: requestNumber(request.number - 5) }, LATE)
    later.settle()
    expect([executed, above, below].map((call) => later.outcomeOf(call))).toEqual([
      'executed',
      'not-executed',
      'unknown',
    ])
    expect(() => later.core.lookup({ ...requestName, client: clientId(1001) }, LATE)).toThrow('1001')
  })

  test('close settles every call with what is known of it', () => {
    const cluster = new FakeCluster({ lanes: 1 })
    cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    cluster.deaf = true
    const sent = cluster.core.submit([deposit('A', 1)], LATE)
    cluster.settle()
    const queued = cluster.core.submit([deposit('A', 1)], LATE)
    const codes = cluster.core
      .close()
      .flatMap((effect) => (effect.type === 'reject' ? [[effect.call, effect.error.code]] : []))
    expect(codes).toEqual([
      [sent, 'indeterminate'],
      [queued, 'not-sent'],
    ])
  })
})

function indeterminate(cluster: FakeCluster, call: CallId): IndeterminateError {
  const error = cluster.errors.get(call)
  if (!(error instanceof IndeterminateError)) throw new Error(`not indeterminate: ${error}`)
  return error
}

/** What another process of the same key had executed on a lane. */
function foreignRequest(cluster: FakeCluster, lane: number, number: number): void {
  const digest = 'ab'.repeat(32) as Request['digest']
  cluster.order({ lane: lane as Request['lane'], number: requestNumber(number), digest, operations: [] })
}
