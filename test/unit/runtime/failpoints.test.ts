import { describe, expect, test, vi } from 'vitest'
import { FAILPOINTS, failpointHook, parseFailpoint } from '../../../replica/runtime/failpoints.ts'
import { Timers } from '../../../replica/runtime/timers.ts'

describe('[D1] failpoints', () => {
  test('each name is there once, before and after', () => {
    expect(new Set(FAILPOINTS).size).toBe(FAILPOINTS.length)
    for (const point of FAILPOINTS) {
      const other = point.startsWith('before-')
        ? point.replace('before-', 'after-')
        : point.replace('after-', 'before-')
      expect(FAILPOINTS).toContain(other)
    }
  })

  test('are named by PBFT_FAILPOINT', () => {
    expect(parseFailpoint('before-sync')).toEqual({ point: 'before-sync', count: 1 })
    expect(parseFailpoint('after-send-new-view@12')).toEqual({ point: 'after-send-new-view', count: 12 })
  })

  test.each([
    '',
    'sync',
    'before-sync@0',
    'before-sync@',
    'before-sync@1@2',
    'before-sync@x',
    'before-toast',
  ])('not by %j, and the message names them all', (text) =>
    expect(() => parseFailpoint(text)).toThrow(/before-sync.*after-new-view/),
  )

  test('kill at the count-th pass, once', () => {
    const die = vi.fn()
    const hook = failpointHook({ point: 'before-commit', count: 2 }, die)
    hook('before-commit')
    hook('after-commit')
    expect(die).not.toHaveBeenCalled()
    hook('before-commit')
    hook('before-commit')
    expect(die).toHaveBeenCalledTimes(1)
  })
})

describe('timers', () => {
  test('run side by side, are replaced and stopped', () => {
    vi.useFakeTimers()
    try {
      const off: string[] = []
      const timers = new Timers((timer) => off.push(timer))
      timers.set('status', 10)
      timers.set('view-change', 20)
      timers.set('transfer', 20)
      timers.set('status', 30)
      timers.stop('transfer')
      vi.advanceTimersByTime(20)
      expect(off).toEqual(['view-change'])
      vi.advanceTimersByTime(10)
      expect(off).toEqual(['view-change', 'status'])
      timers.set('status', 10)
      timers.set('transfer', 10)
      timers.stopAll()
      vi.advanceTimersByTime(100)
      expect(off).toHaveLength(2)
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
