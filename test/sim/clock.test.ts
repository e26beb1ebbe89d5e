import { expect, test } from 'vitest'
import { Clock } from '../../chaos/sim/clock.ts'
import { EventQueue } from '../../chaos/sim/event-queue.ts'

const at = (queue: EventQueue, us: number) => {
  queue.at(us, () => {})
  queue.runNext()
}

test('a fast clock shows more than true time, and a timer on it ends early', () => {
  const queue = new EventQueue()
  const clock = new Clock(queue, 2)
  at(queue, 10_000)
  expect(clock.nowMs).toBe(20)
  expect(clock.delayUs(100)).toBe(50_000)
})

test('a jump only ever goes ahead', () => {
  const queue = new EventQueue()
  const clock = new Clock(queue)
  clock.jump(500)
  at(queue, 1_000)
  expect(clock.nowMs).toBe(501)
})
