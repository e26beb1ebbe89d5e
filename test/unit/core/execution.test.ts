import { beforeEach, expect, test } from 'vitest'
import { type LogPosition, seq, view, ZERO_DIGEST } from '../../../protocol/types.ts'
import { Execution } from '../../../replica/core/execution.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { batchAt, configFor, effectsOf } from './parts-fixture.ts'

const DURABLE = 0 as LogPosition

let outbox: Outbox
let execution: Execution

beforeEach(() => {
  outbox = new Outbox()
  const executed = { lastExecuted: seq(0), chain: ZERO_DIGEST }
  execution = new Execution({ config: configFor(1), outbox, executed, committedInLog: seq(0) })
})

function commit(from: number, upTo: number): void {
  for (let next = from; next <= upTo; next++) {
    execution.commit(seq(next), { batch: batchAt(next), at: DURABLE })
  }
}

/** What was handed to the database since the last call. */
function handedOut(): number[] {
  execution.advance()
  return effectsOf(outbox.drain(), 'execute').map(({ seq: at }) => at)
}

test('[NC5] batches go out in order, and stop at a gap', () => {
  commit(2, 3)
  expect(handedOut()).toEqual([])
  expect(execution.frontier).toBe(0)
  commit(1, 1)
  commit(5, 5)
  expect(handedOut()).toEqual([1, 2, 3])
  expect(execution).toMatchObject({ frontier: 3, issued: 3, lastExecuted: 0 })
})

test('[D4] none goes out before its record is durable', () => {
  execution.commit(seq(1), { batch: batchAt(1), at: 7 as LogPosition })
  expect(handedOut()).toEqual([])
  outbox.durable = 7 as LogPosition
  expect(handedOut()).toEqual([1])
})

/** 1 to 3 are in the database when a transfer is cancelled, which takes them for not begun. */
function cancelDuringRun(): void {
  commit(1, 3)
  handedOut()
  execution.pause()
  execution.reset(execution)
  execution.resume()
}

test('[CP4] a run that was in the database when a transfer was cancelled ends well', () => {
  cancelDuringRun()
  for (const at of [1, 2, 3]) {
    execution.onExecuted(seq(at), ZERO_DIGEST)
    expect(execution.frontier).toBeGreaterThanOrEqual(execution.lastExecuted)
  }
  expect(execution).toMatchObject({ lastExecuted: 3, issued: 3, frontier: 3 })
})

test('[CP4] nothing of that run goes out again, and what follows it goes out once', () => {
  cancelDuringRun()
  execution.onExecuted(seq(1), ZERO_DIGEST)
  execution.onExecuted(seq(2), ZERO_DIGEST)
  outbox.drain()
  // The redo from the log brings all of it again.
  const entries = [1, 2, 3, 4].map((at) => ({
    seq: seq(at),
    view: view(0),
    digest: batchAt(at).digest,
    commits: [],
    batch: batchAt(at),
  }))
  execution.onRedo(entries)
  expect(handedOut()).toEqual([3, 4])
})

test('[CP4] what was committed behind that run counts as soon as the run ends', () => {
  cancelDuringRun()
  commit(2, 5)
  expect(execution.frontier).toBe(0)
  execution.onExecuted(seq(1), ZERO_DIGEST)
  expect(execution.frontier).toBe(5)
  execution.onExecuted(seq(2), ZERO_DIGEST)
  expect(execution.has(seq(2))).toBe(true)
  expect(handedOut()).toEqual([3, 4, 5])
  for (const at of [3, 4, 5]) execution.onExecuted(seq(at), ZERO_DIGEST)
  expect(execution.backlog).toBe(0)
})

test('[NC5] a database that skips one is a fault of ours', () => {
  commit(1, 2)
  handedOut()
  expect(() => execution.onExecuted(seq(2), ZERO_DIGEST)).toThrow('executed 2 after 0')
})
