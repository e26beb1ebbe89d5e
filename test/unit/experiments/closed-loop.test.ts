import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type LoopOptions, runClosedLoop } from '../../../chaos/experiments/closed-loop.ts'
import { drawIterations } from '../../../chaos/experiments/iterations.ts'
import { Progress } from '../../../chaos/experiments/progress.ts'
import { Random } from '../../../chaos/sim/random.ts'
import type { LoadTarget } from '../../../chaos/workload/load.ts'
import { IndeterminateError, NotSentError, RefusedError, UnavailableError } from '../../../client/errors.ts'
import type { RequestName, SimpleOperation } from '../../../protocol/operations.ts'
import type { ClientId, Digest, RequestNumber } from '../../../protocol/types.ts'

const drawn = drawIterations(20, { random: new Random(1), accounts: ['A', 'B'] })
const writesDrawn = drawn.flatMap((iteration) => (iteration.kind === 'write' ? [iteration.operation] : []))
const request: RequestName = {
  client: 1_000 as ClientId,
  lane: 0,
  number: 1 as RequestNumber,
  digest: '00'.repeat(32) as Digest,
}

/** Answers at once, and remembers what it was asked; fails the calls that it is told to. */
class Bank implements LoadTarget {
  readonly written: SimpleOperation[] = []
  reads = 0
  waiting = 0
  waitingMost = 0
  failWrites: Error[] = []
  failReads: Error[] = []
  results: { kind: string }[] = []

  async submit(operations: readonly SimpleOperation[]) {
    await this.#wait()
    const failure = this.failWrites.shift()
    if (failure !== undefined) throw failure
    this.written.push(...operations)
    return [this.results.shift() ?? { kind: 'transferred' }]
  }

  async balance() {
    await this.#wait()
    const failure = this.failReads.shift()
    if (failure !== undefined) throw failure
    this.reads += 1
    return 1n
  }

  async #wait(): Promise<void> {
    this.waiting += 1
    this.waitingMost = Math.max(this.waitingMost, this.waiting)
    await new Promise((resolve) => setImmediate(resolve))
    this.waiting -= 1
  }
}

const run = (bank: Bank, options: Partial<LoopOptions> = {}) =>
  runClosedLoop(bank, drawn, {
    concurrency: 1,
    progress: new Progress(),
    signal: new AbortController().signal,
    ...options,
  })

test('makes every call once, in order, one after the other', async () => {
  const bank = new Bank()
  const progress = new Progress()
  const result = await run(bank, { progress })
  expect(bank.written).toEqual(writesDrawn)
  expect(bank.waitingMost).toBe(1)
  expect(progress.completed).toBe(20)
  expect(result).toMatchObject({ reads: 10, writes: 10, refused: 0, retried: 0, unanswered: 0 })
})

test('several callers share the iterations, and have one call under way each', async () => {
  const bank = new Bank()
  const result = await run(bank, { concurrency: 4 })
  expect(bank.waitingMost).toBe(4)
  expect([bank.written.length, bank.reads]).toEqual([10, 10])
  expect(result).toMatchObject({ reads: 10, writes: 10 })
})

test('a call that was certainly not executed is made again, as the same iteration', async () => {
  const bank = new Bank()
  bank.failWrites = [new NotSentError('deadline')]
  bank.failReads = [new UnavailableError('a read', 'deadline')]
  const result = await run(bank)
  expect(bank.written).toEqual(writesDrawn)
  expect(result).toMatchObject({ reads: 10, writes: 10, retried: 2 })
})

test('a write in doubt is not made again, and has no latency', async () => {
  const bank = new Bank()
  bank.failWrites = [new IndeterminateError(request, { offset: 0, count: 1 }, 'deadline')]
  const result = await run(bank)
  expect(bank.written).toEqual(writesDrawn.slice(1))
  expect(result).toMatchObject({ writes: 10, unanswered: 1, retried: 0 })
  expect(result.writeLatencyUs.total).toBe(9)
})

test('a refusal is an answer, and counted', async () => {
  const bank = new Bank()
  bank.results = [{ kind: 'refused' }]
  expect(await run(bank)).toMatchObject({ writes: 10, refused: 1 })
})

test('what is no matter of waiting ends the loop', async () => {
  const bank = new Bank()
  bank.failReads = [new RefusedError({ code: 'unknown-account', detail: 'A' })]
  await expect(run(bank)).rejects.toBeInstanceOf(RefusedError)
})

test('held, it sends nothing, and the time does not count', async () => {
  const bank = new Bank()
  const release = Promise.withResolvers<void>()
  const progress = new Progress()
  const running = run(bank, {
    progress,
    hold: (iteration) => (iteration === 5 ? release.promise : undefined),
  })
  await progress.reached(5, new AbortController().signal)
  const heldFor = delay(200)
  await heldFor
  expect(progress.completed).toBe(5)
  release.resolve()
  const { ms, heldMs } = await running
  expect(heldMs).toBeGreaterThan(150)
  expect(ms).toBeLessThan(heldMs)
})

test('an abort ends it with its reason', async () => {
  const ended = new AbortController()
  const progress = new Progress()
  const running = run(new Bank(), { progress, signal: ended.signal })
  const reached = progress.reached(3, ended.signal).then(() => ended.abort(new Error('enough')))
  await expect(running).rejects.toThrow('enough')
  await reached
  expect(progress.completed).toBeLessThan(20)
  await expect(progress.reached(20, ended.signal)).rejects.toThrow('enough')
})
