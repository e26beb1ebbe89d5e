import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Random } from '../../../chaos/sim/random.ts'
import { Histogram } from '../../../chaos/workload/histogram.ts'
import { Load, type LoadTarget } from '../../../chaos/workload/load.ts'
import { drawOperation, WORKLOADS } from '../../../chaos/workload/operations.ts'
import { costsBetween, meanBatch, type Resources } from '../../../chaos/workload/resources.ts'
import { NotSentError } from '../../../client/errors.ts'

describe('the histogram', () => {
  test('tells every quantile to within its bucket, whatever the values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 2 ** 31 - 1 }), { minLength: 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, share) => {
          const histogram = new Histogram()
          for (const value of values) histogram.add(value)
          const sorted = values.toSorted((a, b) => a - b)
          const exact = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? 0
          const told = histogram.quantile(share)
          expect(told).toBeGreaterThanOrEqual(exact)
          expect(told).toBeLessThanOrEqual(exact * (1 + 1 / 64) + 1)
          expect(histogram.max).toBe(sorted.at(-1))
        },
      ),
    )
  })

  test('is what its parts were when they are added up', () => {
    const [whole, low, high] = [new Histogram(), new Histogram(), new Histogram()]
    for (let value = 0; value < 5_000; value++) {
      whole.add(value)
      ;(value < 900 ? low : high).add(value)
    }
    low.addAll(high)
    for (const share of [0, 0.1, 0.5, 0.99, 1]) expect(low.quantile(share)).toBe(whole.quantile(share))
    expect({ total: low.total, max: low.max }).toEqual({ total: 5_000, max: 4_999 })
  })

  test('has nothing to say when it is empty', () => {
    expect(new Histogram().quantile(0.5)).toBe(0)
  })
})

describe('drawn operations', () => {
  test('are the same for the same seed, and never between an account and itself', () => {
    const accounts = ['A', 'B', 'C']
    for (const workload of WORKLOADS) {
      const draw = (seed: number) => {
        const random = new Random(seed)
        return Array.from({ length: 200 }, () => drawOperation(workload, { random, accounts }))
      }
      expect(draw(1)).toEqual(draw(1))
      for (const operation of draw(2)) {
        if (operation.kind === 'transfer') expect(operation.from).not.toBe(operation.to)
      }
    }
  })

  test('need two accounts to move money between', () => {
    const draw = () => drawOperation('transfer', { random: new Random(1), accounts: ['A'] })
    expect(draw).toThrow(RangeError)
  })
})

/** Answers after `answers` calls were made; then every call fails. */
class Bank implements LoadTarget {
  calls = 0
  inFlight = 0
  inFlightMax = 0
  readonly #answers: number

  constructor(answers: number) {
    this.#answers = answers
  }

  async submit(): Promise<readonly { kind: string }[]> {
    const call = ++this.calls
    this.inFlight += 1
    this.inFlightMax = Math.max(this.inFlight, this.inFlightMax)
    await Promise.resolve()
    this.inFlight -= 1
    if (call > this.#answers) throw new NotSentError('deadline')
    return [{ kind: call % 2 === 0 ? 'refused' : 'transferred' }]
  }

  async balance(): Promise<bigint> {
    return 0n
  }
}

describe('the load', () => {
  const draw = () => drawOperation('transfer', { random: new Random(1), accounts: ['A', 'B'] })

  test('keeps as many calls in flight as it has callers, and counts refusals and failures apart', async () => {
    const bank = new Bank(20)
    const load = new Load([bank], { callersEach: 4, draw })
    await load.stop()
    expect(bank.inFlightMax).toBe(4)
    expect(load.cut()).toMatchObject({ operations: 4, refused: 2, errors: 0 })
  })

  test('says why a call was not answered, and goes on', async () => {
    const load = new Load([new Bank(0)], { callersEach: 1, draw })
    await load.stop()
    expect(load.cut()).toMatchObject({ operations: 0, errors: 1 })
    expect(load.lastError).toBeInstanceOf(NotSentError)
  })

  test('is stopped by a mistake of ours, not kept going', async () => {
    const broken: LoadTarget = {
      submit: () => Promise.reject(new TypeError('ours')),
      balance: async () => 0n,
    }
    const load = new Load([broken], { callersEach: 1, draw })
    await expect(load.stop()).rejects.toThrow('ours')
  })
})

describe('resources', () => {
  const replica = (pid: number, cpuMs: number, batches: number) => ({
    pid,
    cpuMs,
    rssBytes: 0,
    batches,
    operations: batches * 10,
    postgresCpuMs: cpuMs / 2,
  })
  const before: Resources = {
    clientCpuMs: 0,
    replicas: new Map([
      [0, replica(1, 100, 0)],
      [1, replica(2, 100, 0)],
    ]),
  }
  const after: Resources = {
    clientCpuMs: 50,
    replicas: new Map([
      [0, replica(1, 300, 20)],
      [1, replica(9, 10, 5)],
    ]),
  }

  test('cost what was used between two looks, by process; one that was replaced is left out', () => {
    expect(costsBetween(before, after, 1_000)).toEqual([
      { process: 'replica 0', cpuUsPerOperation: 200 },
      { process: 'postgres 0', cpuUsPerOperation: 100 },
      { process: 'client', cpuUsPerOperation: 50 },
    ])
  })

  test('tell the mean batch', () => {
    expect(meanBatch(before, after)).toBe(10)
    expect(meanBatch(before, before)).toBe(0)
  })
})
