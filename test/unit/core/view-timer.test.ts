import { beforeEach, expect, test } from 'vitest'
import { Outbox } from '../../../replica/core/outbox.ts'
import { type Awaited, ViewTimer } from '../../../replica/core/view-timer.ts'
import { configFor, effectsOf } from './parts-fixture.ts'

const BASE_MS = 500
const request = (a: number, b = 1): Awaited => ({ what: 'request', a, b })

let outbox: Outbox
let timer: ViewTimer

beforeEach(() => {
  outbox = new Outbox()
  timer = new ViewTimer({ config: configFor(1), outbox })
})

/** How long each timer that was set since the last call runs. */
const armed = () => effectsOf(outbox.drain(), 'set-timer').map(({ ms }) => ms)

/** One request after the other, each committed after `ms`. */
function waitEach(ms: number, count: number): void {
  for (let key = 0; key < count; key++) {
    timer.watch(request(key))
    outbox.nowMs += ms
  }
  timer.watch(null)
}

test('[NC8] T doubles when a view ends that committed nothing, up to sixteen times its first length', () => {
  const lengths = [1, 2, 3, 4, 5, 6].map(() => {
    timer.onViewEnd()
    return timer.lengthMs
  })
  expect(lengths).toEqual([1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
})

test('[NC8] T does not double when the view committed a request, and doubles when the next one did not', () => {
  timer.onProgress()
  timer.onViewEnd()
  expect(timer.lengthMs).toBe(BASE_MS)
  timer.onViewEnd()
  expect(timer.lengthMs).toBe(2 * BASE_MS)
})

test('[NC8] T comes down at a stable checkpoint of a view that commits, and only there', () => {
  for (let view = 0; view < 3; view++) timer.onViewEnd()
  timer.onStable()
  expect(timer.lengthMs).toBe(8 * BASE_MS)
  timer.onProgress()
  expect(timer.lengthMs).toBe(8 * BASE_MS)
  timer.onStable()
  expect(timer.lengthMs).toBe(BASE_MS)
})

test('[NC8] T comes down to four times the longest recent wait, not below: a slow network deposes nobody', () => {
  for (let view = 0; view < 3; view++) timer.onViewEnd()
  timer.onProgress()
  waitEach(50, 2)
  waitEach(300, 1)
  waitEach(50, 2)
  timer.onStable()
  expect(timer.lengthMs).toBe(1_200)
  // Lately: what was waited for before the last stable checkpoint is forgotten.
  waitEach(50, 2)
  timer.onStable()
  expect(timer.lengthMs).toBe(BASE_MS)
})

test('[NC8] a long wait does not make T longer than it is', () => {
  timer.onProgress()
  waitEach(450, 2)
  timer.onStable()
  expect(timer.lengthMs).toBe(BASE_MS)
})

test('[NC8] another oldest request gets T in full, the same one does not', () => {
  timer.watch(request(1))
  expect(armed()).toEqual([BASE_MS])
  outbox.nowMs = 400
  timer.watch(request(2))
  // The timer that runs is left alone; it goes off early and is set again.
  expect(armed()).toEqual([])
  outbox.nowMs = 500
  expect(timer.onTimeout()).toBe(false)
  timer.watch(request(2))
  expect(armed()).toEqual([400])
  outbox.nowMs = 899
  timer.watch(request(2))
  expect(timer.onTimeout()).toBe(false)
  timer.watch(request(2))
  expect(armed()).toEqual([1])
  outbox.nowMs = 900
  expect(timer.onTimeout()).toBe(true)
})

test('[NC8] the next request of the same lane is another one', () => {
  timer.watch(request(1, 1))
  outbox.nowMs = 499
  timer.watch(request(1, 2))
  outbox.nowMs = 500
  expect(timer.onTimeout()).toBe(false)
})

test('[VC4] a NEW-VIEW of another view is another thing to wait for', () => {
  timer.watch({ what: 'new-view', a: 1, b: 0 })
  outbox.nowMs = 499
  timer.watch({ what: 'new-view', a: 2, b: 0 })
  outbox.nowMs = 500
  expect(timer.onTimeout()).toBe(false)
  outbox.nowMs = 999
  expect(timer.onTimeout()).toBe(true)
})

test('[NC8] who waits for nothing judges nobody, however old the timer is', () => {
  timer.watch(request(1))
  outbox.nowMs = 300
  timer.watch(null)
  outbox.nowMs = 500
  expect(timer.onTimeout()).toBe(false)
})

test('[NC8] a late replica gives the primary T again', () => {
  timer.watch(request(1))
  outbox.nowMs = 500
  expect(timer.onTimeout()).toBe(true)
  timer.restart()
  armed()
  timer.watch(request(1))
  expect(armed()).toEqual([BASE_MS])
  outbox.nowMs = 999
  expect(timer.onTimeout()).toBe(false)
})

test('[NC8] the request that a view ended with gets T in full in the next', () => {
  timer.watch(request(1))
  outbox.nowMs = 500
  timer.onTimeout()
  timer.onViewEnd()
  armed()
  timer.watch(request(1))
  expect(armed()).toEqual([2 * BASE_MS])
})

test('[NC8] a timer that runs too long is set anew when T has come down', () => {
  for (let view = 0; view < 3; view++) timer.onViewEnd()
  timer.watch(request(1))
  expect(armed()).toEqual([8 * BASE_MS])
  timer.onProgress()
  timer.onStable()
  timer.watch(request(1))
  expect(armed()).toEqual([BASE_MS])
})
