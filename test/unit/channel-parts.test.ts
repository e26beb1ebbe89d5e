import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ACK_RANGES_MAX, AckRanges } from '../../protocol/channel/ack-ranges.ts'
import { Fifo } from '../../protocol/channel/fifo.ts'
import { MESSAGE_WINDOW, MessageWindow, ReplayWindow } from '../../protocol/channel/replay-window.ts'

describe('[channel] parts', () => {
  test('[channel] ack ranges equal the set of numbers received', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 }), (numbers) => {
        const ranges = new AckRanges()
        for (const n of numbers) ranges.add(n)
        const covered: number[] = []
        for (let i = 0; i < ranges.count; i++) {
          const start = ranges.starts[i] ?? 0
          if (i > 0) expect(ranges.ends[i] ?? 0).toBeLessThan((ranges.starts[i - 1] ?? 0) - 1)
          for (let n = start; n <= (ranges.ends[i] ?? -1); n++) covered.push(n)
        }
        expect(covered.sort((a, b) => a - b)).toEqual([...new Set(numbers)].sort((a, b) => a - b))
      }),
    )
  })

  test('[channel] ack ranges are bounded, and keep the newest', () => {
    const ranges = new AckRanges()
    for (let n = 0; n < 1000; n += 2) ranges.add(n)
    expect(ranges.count).toBe(ACK_RANGES_MAX)
    expect(ranges.largest).toBe(998)
  })

  test('[channel] the replay window says "seen" for all that it marked and all that is too old', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 300 }), (numbers) => {
        const window = new ReplayWindow()
        const marked = new Set<number>()
        let highest = -1
        for (const n of numbers) {
          expect(window.seen(n)).toBe(marked.has(n) || n <= highest - 4096)
          if (window.seen(n)) continue
          window.mark(n)
          marked.add(n)
          highest = Math.max(highest, n)
        }
      }),
    )
  })

  test('[channel] the replay window works at the largest packet numbers', () => {
    const window = new ReplayWindow()
    for (const n of [2 ** 48 - 5000, 2 ** 48 - 2, 2 ** 48 - 1]) {
      expect(window.seen(n)).toBe(false)
      window.mark(n)
      expect(window.seen(n)).toBe(true)
    }
    expect(window.seen(2 ** 48 - 3)).toBe(false)
  })

  test('[channel] the message window takes every id once, in any order within the window', () => {
    const window = new MessageWindow()
    const ids = Array.from({ length: MESSAGE_WINDOW }, (_, i) => MESSAGE_WINDOW - 1 - i)
    expect(window.state(MESSAGE_WINDOW)).toBe('future')
    for (const id of ids) {
      expect(window.state(id)).toBe('new')
      window.complete(id)
      expect(window.state(id)).toBe('complete')
    }
    expect(window.state(MESSAGE_WINDOW)).toBe('new')
    expect(window.state(2 * MESSAGE_WINDOW)).toBe('future')
  })

  test('[channel] a fifo gives back what it took, in order', () => {
    const fifo = new Fifo<number>()
    const model: number[] = []
    for (let i = 0; i < 10_000; i++) {
      fifo.push(i)
      model.push(i)
      if (i % 3 === 0) expect(fifo.shift()).toBe(model.shift())
    }
    while (model.length > 0) expect(fifo.shift()).toBe(model.shift())
    expect(fifo.length).toBe(0)
    expect(fifo.shift()).toBe(undefined)
  })
})
