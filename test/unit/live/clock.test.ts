import { beforeEach, expect, test } from 'vitest'
import type { Clock } from '../../../protocol/clock.ts'
import { ControlledClock } from '../../../replica/runtime/clock.ts'
import { Timers } from '../../../replica/runtime/timers.ts'
import { FakeDelays } from './fake-delays.ts'

const EPOCH_US = 1_700_000_000_000_000

/** A host whose time goes on when a test says so. */
class FakeHost implements Clock {
  readonly delays = new FakeDelays()
  running = 0

  nowMs(): number {
    return this.delays.nowMs()
  }

  wallClockUs(): number {
    return EPOCH_US + this.nowMs() * 1_000
  }

  setTimer(run: () => void, ms: number): () => void {
    let isOn = true
    this.running += 1
    const end = () => {
      if (isOn) this.running -= 1
      isOn = false
    }
    this.delays.after(ms, () => {
      if (!isOn) return
      end()
      run()
    })
    return end
  }
}

let host: FakeHost
let clock: ControlledClock
let off: string[]

beforeEach(() => {
  host = new FakeHost()
  host.delays.advance(5_000)
  clock = new ControlledClock(host)
  off = []
})

const timer = (name: string, ms: number) => clock.setTimer(() => off.push(name), ms)

test('untouched it is the host’s', () => {
  expect(clock.nowMs()).toBe(5_000)
  expect(clock.wallClockUs()).toBe(host.wallClockUs())
  timer('a', 100)
  host.delays.advance(99)
  expect(off).toEqual([])
  host.delays.advance(1)
  expect(off).toEqual(['a'])
  expect(clock.nowMs()).toBe(5_100)
})

test('twice as fast: time and timers, also those that ran already', () => {
  timer('before', 100)
  host.delays.advance(50)
  clock.setRate(2)
  timer('after', 100)
  host.delays.advance(25)
  expect(off).toEqual(['before'])
  host.delays.advance(25)
  expect(off).toEqual(['before', 'after'])
  expect(clock.nowMs()).toBe(5_150)
  expect(clock.wallClockUs()).toBe(host.wallClockUs() + 50_000)
})

test('slow', () => {
  clock.setRate(0.1)
  timer('a', 10)
  host.delays.advance(99)
  expect(off).toEqual([])
  host.delays.advance(1)
  expect(off).toEqual(['a'])
  clock.setRate(1)
  timer('b', 10)
  host.delays.advance(10)
  expect(off).toEqual(['a', 'b'])
})

test('a jump makes due what lies behind it, and brings the rest nearer', () => {
  timer('soon', 100)
  timer('late', 1_000)
  clock.jump(500)
  host.delays.advance(0)
  expect(off).toEqual(['soon'])
  host.delays.advance(499)
  expect(off).toEqual(['soon'])
  host.delays.advance(1)
  expect(off).toEqual(['soon', 'late'])
  expect(clock.wallClockUs()).toBe(host.wallClockUs() + 500_000)
})

test('it never goes back', () => {
  let before = clock.nowMs()
  for (const change of [() => clock.setRate(10), () => clock.jump(7), () => clock.setRate(0.1)]) {
    change()
    host.delays.advance(3)
    expect(clock.nowMs()).toBeGreaterThan(before)
    before = clock.nowMs()
  }
})

test('a timer that is stopped does not go off, and nothing is left', () => {
  const stop = timer('a', 100)
  clock.setRate(2)
  stop()
  stop()
  clock.jump(1_000)
  host.delays.advance(1_000)
  expect(off).toEqual([])
  expect(host.running).toBe(0)
})

test('the core’s timers run on it', () => {
  const timers = new Timers((name) => off.push(name), clock)
  timers.set('status', 100)
  timers.set('view-change', 1_000)
  clock.jump(100)
  host.delays.advance(0)
  expect(off).toEqual(['status'])
  timers.stopAll()
  expect(host.running).toBe(0)
})

test.each([0, -1, 0.05, 11, Number.NaN])('no rate %d', (rate) => {
  expect(() => clock.setRate(rate)).toThrow(/rate/)
  expect(clock.nowMs()).toBe(5_000)
})
test.each([-1, Number.NaN, 86_400_001])('no jump by %d', (ms) => {
  expect(() => clock.jump(ms)).toThrow(/jumps/)
  expect(clock.nowMs()).toBe(5_000)
})
