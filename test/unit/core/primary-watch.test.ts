import { beforeEach, expect, test } from 'vitest'
import { requestNumber, type Seq, seq } from '../../../protocol/types.ts'
import { Outbox } from '../../../replica/core/outbox.ts'
import { PrimaryWatch } from '../../../replica/core/primary-watch.ts'
import type { UnorderedRequest } from '../../../replica/core/waiting.ts'
import { configFor } from './parts-fixture.ts'

const CONFIG = configFor(1)
const T_MS = 500
/** Excess beyond what is allowed, with which a primary is too slow. */
const EXCESS_MS = 4 * T_MS
/** A fiftieth of T, and the votes' time. */
const ALLOWED_MS = 10 + 10
const MINUTES_MS = 60_000
const ALONE = { isGivenUp: false }

let outbox: Outbox
let watch: PrimaryWatch
let last: Seq
let committedUpTo: Seq
let awaited: UnorderedRequest | null

beforeEach(() => {
  outbox = new Outbox()
  watch = new PrimaryWatch({ config: CONFIG, outbox })
  last = seq(0)
  committedUpTo = seq(0)
  awaited = null
})

function waitsFor(key: number | null, sinceMs = outbox.nowMs): void {
  awaited = key === null ? null : { key, number: requestNumber(1), sinceMs }
  watch.watch(awaited, { isShared: false, committedUpTo })
}

/** Time in which this replica runs. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= CONFIG.statusBusyMs) {
    outbox.nowMs += Math.min(left, CONFIG.statusBusyMs)
    watch.onStep()
    watch.watch(awaited, { isShared: false, committedUpTo })
  }
}

function order({ votesMs = 10, isFull = false } = {}): void {
  last = seq(last + 1)
  watch.onAccepted(last, { isFull })
  waitsFor(null)
  pass(votesMs)
  watch.onCommitted(last)
  committedUpTo = last
}

/** Requests one after the other, each ordered after `ms`. @returns how many until the primary was too slow, or `count` */
function orderEach(ms: number, count: number): number {
  for (let key = 0; key < count; key++) {
    waitsFor(key)
    pass(ms)
    order()
    if (watch.isTooSlow(ALONE)) return key + 1
  }
  return count
}

test('[NC10] nobody is judged before this replica knows what votes take', () => {
  waitsFor(1)
  pass(100 * T_MS)
  waitsFor(1)
  expect(watch.isTooSlow(ALONE)).toBe(false)
})

test('[NC10] what is allowed follows the time that votes take here', () => {
  order()
  expect(watch.allowedMs).toBe(ALLOWED_MS)
  for (let batch = 0; batch < 50; batch++) order({ votesMs: 100 })
  expect(watch.allowedMs).toBeCloseTo(110, 0)
})

test('[NC10] [NC2] who came while all slots were open may have had to wait for the votes on another batch, too', () => {
  order()
  for (let slot = 0; slot < CONFIG.inFlightMax; slot++) {
    last = seq(last + 1)
    watch.onAccepted(last, { isFull: false })
  }
  waitsFor(1)
  pass(10)
  // Not by votes of this view: another replica proved it.
  committedUpTo = last
  pass(1)
  expect(watch.allowedMs).toBe(10 + 2 * 10)
  waitsFor(null)
  waitsFor(2, outbox.nowMs + 1)
  expect(watch.allowedMs).toBe(ALLOWED_MS)
})

test('[NC10] what was open in another view is not open in this one', () => {
  order()
  watch.onAccepted(seq(last + CONFIG.inFlightMax), { isFull: false })
  watch.onViewEnd()
  waitsFor(1)
  expect(watch.allowedMs).toBe(ALLOWED_MS)
})

test('[NC10] [FS3] so may who asks beside other clients', () => {
  order()
  const shared = { key: 1, number: requestNumber(1), sinceMs: outbox.nowMs }
  watch.watch(shared, { isShared: true, committedUpTo })
  expect(watch.allowedMs).toBe(10 + 2 * 10)
})

test('[NC10] a primary that orders each batch just before T is over is replaced within ten', () => {
  order()
  expect(orderEach(T_MS - 1, 10)).toBe(5)
})

test('[NC10] a primary that orders often, but each request late, is replaced all the same', () => {
  order()
  let key = 0
  const isReplaced = () => {
    waitsFor(key, outbox.nowMs - 400)
    key += 1
    pass(100)
    return watch.isTooSlow(ALONE)
  }
  const waits = Array.from({ length: 100 }, isReplaced)
  // Nine tenths of the time count.
  expect(waits.indexOf(true)).toBeCloseTo(EXCESS_MS / 90, -1)
})

test('[NC10] a wait counts when it is over', () => {
  order()
  waitsFor(1)
  pass(ALLOWED_MS + EXCESS_MS + 1)
  waitsFor(1)
  expect(watch.isTooSlow(ALONE)).toBe(false)
  waitsFor(2)
  expect(watch.isTooSlow(ALONE)).toBe(true)
})

test('[NC10] a primary within what is allowed is never replaced', () => {
  order()
  expect(orderEach(ALLOWED_MS, 10_000)).toBe(10_000)
})

test('[NC10] pauses are forgiven as long as they are a tenth of the time', () => {
  order()
  for (let pause = 0; pause < 100; pause++) {
    orderEach(ALLOWED_MS + 1_000, 1)
    orderEach(5, 800)
    expect(watch.isTooSlow(ALONE)).toBe(false)
  }
})

test('[NC10] while this replica stands still itself nothing counts', () => {
  order()
  for (let pause = 0; pause < 100; pause++) {
    waitsFor(pause)
    outbox.nowMs += 60 * T_MS
    watch.onStep()
    order()
  }
  expect(watch.isTooSlow(ALONE)).toBe(false)
  expect(watch.allowedMs).toBe(ALLOWED_MS)
})

test('[NC10] quick orders do not pay for slow ones', () => {
  order()
  const waited = Array.from({ length: 20 }, () => {
    // Whoever sides with the primary gives it a thousand requests that it orders at once.
    for (let key = 0; key < 1_000; key++) {
      waitsFor(key)
      order({ votesMs: 0.001 })
    }
    orderEach(T_MS - 1, 1)
    return watch.isTooSlow(ALONE)
  })
  expect(waited.indexOf(true)).toBe(4)
})

test('[NC10] a batch that was full had no room: the oldest gets its time again', () => {
  order()
  for (let batch = 0; batch < 100; batch++) {
    waitsFor(1)
    pass(ALLOWED_MS - 10)
    last = seq(last + 1)
    watch.onAccepted(last, { isFull: true })
    waitsFor(1)
    pass(10)
    watch.onCommitted(last)
    committedUpTo = last
  }
  expect(watch.isTooSlow(ALONE)).toBe(false)
})

test('[NC10] batches with room that leave the oldest out do not help', () => {
  order()
  for (let key = 1; key <= 20; key++) {
    for (let batch = 0; batch < 49; batch++) {
      waitsFor(key)
      pass(10)
      last = seq(last + 1)
      watch.onAccepted(last, { isFull: false })
    }
    order()
  }
  expect(watch.isTooSlow(ALONE)).toBe(true)
})

test('[NC10] nothing counts while nothing waits or nobody can be judged', () => {
  order()
  for (let round = 0; round < 100; round++) {
    waitsFor(1)
    pass(ALLOWED_MS)
    waitsFor(null)
    pass(10 * T_MS)
  }
  expect(watch.isTooSlow(ALONE)).toBe(false)
})

test('[NC10] where all primaries are alike slow, each is given twice as much, until it is enough', () => {
  order()
  const views = Array.from({ length: 10 }, () => {
    const replaced = orderEach(450, 400) < 400
    if (replaced) watch.onViewEnd()
    return replaced
  })
  // 20 * 2^4 ms and a tenth are less than what each takes, 20 * 2^5 are more.
  expect(views.indexOf(false)).toBe(5)
  expect(views.slice(5)).not.toContain(true)
})

test('[NC10] in the long run one replacement in ten minutes, however liars lead in between', () => {
  order()
  let replaced = 0
  const endMs = outbox.nowMs + 120 * MINUTES_MS
  while (outbox.nowMs < endMs) {
    if (orderEach(490, 20) < 20) {
      replaced += 1
      watch.onViewEnd()
    }
    // In a liar's view everything is fast.
    orderEach(0, 100)
    watch.onStable(last)
  }
  expect(replaced).toBeGreaterThan(3)
  expect(replaced).toBeLessThanOrEqual(4 + 12)
})

test('[NC10] a view that ends for another reason leaves the next primary what it was', () => {
  order()
  waitsFor(1)
  pass(T_MS)
  watch.onViewEnd()
  expect(watch.allowedMs).toBe(ALLOWED_MS)
})

test('[NC10] batches of a view that ended, or below the stable checkpoint, are not measured', () => {
  order()
  watch.onAccepted(seq(2), { isFull: false })
  watch.onAccepted(seq(3), { isFull: false })
  watch.onStable(seq(2))
  pass(400)
  watch.onCommitted(seq(2))
  expect(watch.allowedMs).toBe(ALLOWED_MS)
  watch.onViewEnd()
  watch.onCommitted(seq(3))
  expect(watch.allowedMs).toBe(ALLOWED_MS)
})

test('[NC10] who waited half as long in excess follows another that gave the view up; who did not, does not', () => {
  const followed = { isGivenUp: true }
  order()
  orderEach(ALLOWED_MS + EXCESS_MS / 2 - 100, 1)
  expect(watch.isTooSlow(followed)).toBe(false)
  orderEach(ALLOWED_MS + 500, 1)
  expect([watch.isTooSlow(ALONE), watch.isTooSlow(followed)]).toEqual([false, true])
})
