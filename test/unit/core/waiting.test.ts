import { beforeEach, expect, test } from 'vitest'
import { requestNumber, seq } from '../../../protocol/types.ts'
import { Waiting } from '../../../replica/core/waiting.ts'

const number = requestNumber
let clock: { nowMs: number }
let waiting: Waiting

beforeEach(() => {
  clock = { nowMs: 0 }
  waiting = new Waiting(clock)
})

/** `key/number` of the oldest. */
const oldest = (committedUpTo = 0) => {
  const one = waiting.oldest(seq(committedUpTo))
  return one === null ? null : `${one.key}/${one.number}`
}

test('[NC8] the oldest is the one that came first', () => {
  expect(oldest()).toBeNull()
  waiting.add(7, number(1))
  waiting.add(3, number(9))
  expect(oldest()).toBe('7/1')
})

test('[NC8] neither a repetition nor a lower number changes its place; a higher one starts anew', () => {
  for (const key of [7, 3]) waiting.add(key, number(5))
  waiting.add(7, number(5))
  waiting.add(7, number(4))
  expect(oldest()).toBe('7/5')
  waiting.add(7, number(6))
  expect(oldest()).toBe('3/5')
})

test('[NC8] a request leaves when it and all below it are committed', () => {
  waiting.add(1, number(1))
  waiting.add(2, number(1))
  waiting.ordered(1, number(1), seq(4))
  expect(oldest(3)).toBe('1/1')
  expect(oldest(4)).toBe('2/1')
  // It left for good.
  expect(oldest(0)).toBe('2/1')
})

test('[NC8] what a PRE-PREPARE brought first waits, too', () => {
  waiting.ordered(1, number(2), seq(4))
  expect(oldest(3)).toBe('1/2')
  expect(oldest(4)).toBeNull()
})

test('[NC8] that an older request of the lane was ordered does not order the newer one', () => {
  waiting.add(1, number(3))
  waiting.ordered(1, number(2), seq(4))
  expect(oldest(4)).toBe('1/3')
})

test('[NC8] a new view has ordered nothing yet', () => {
  waiting.ordered(1, number(1), seq(4))
  waiting.unorder()
  expect(oldest(4)).toBe('1/1')
})

test('[VC6] a request whose batch lost its place is not committed with what took it', () => {
  waiting.ordered(1, number(1), seq(4))
  waiting.displaced(1, number(2))
  waiting.ordered(2, number(1), seq(4))
  waiting.displaced(2, number(1))
  expect(oldest(4)).toBe('2/1')
})

test('[NC8] a request leaves when its lane executed it or a later one', () => {
  waiting.add(1, number(2))
  expect(waiting.executed(1, number(1))).toBe(false)
  expect(waiting.executed(2, number(1))).toBe(false)
  expect(oldest()).toBe('1/2')
  expect(waiting.executed(1, number(3))).toBe(true)
  expect(oldest()).toBeNull()
})

test('[NC10] what the primary did not order is timed since it came, since its batch was displaced, or since the view began', () => {
  for (const key of [7, 3, 5]) {
    clock.nowMs += 10
    waiting.add(key, number(1))
  }
  expect(waiting.oldestUnordered()).toEqual({ key: 7, number: 1, sinceMs: 10 })
  waiting.ordered(7, number(1), seq(1))
  expect(waiting.oldestUnordered()).toMatchObject({ key: 3, sinceMs: 20 })
  clock.nowMs = 100
  waiting.displaced(7, number(1))
  for (const key of [3, 5]) waiting.ordered(key, number(1), seq(2))
  expect(waiting.oldestUnordered()).toMatchObject({ key: 7, sinceMs: 100 })
  clock.nowMs = 200
  waiting.unorder()
  expect(waiting.oldestUnordered()).toMatchObject({ key: 7, sinceMs: 200 })
  for (const key of [7, 3, 5]) waiting.executed(key, number(1))
  expect(waiting.oldestUnordered()).toBeNull()
})
