import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HistoryRound } from '../../../db/history-round.ts'

const LOOKS = 64

test('[CP6] every seq is read again within one round of looks, however fast the history grows', () => {
  fc.assert(
    fc.property(
      fc.nat(500),
      fc.array(fc.nat(40), { minLength: 3 * LOOKS, maxLength: 4 * LOOKS }),
      (first, growth) => {
        const round = new HistoryRound()
        let lastExecuted = first
        // Of each seq that exists: the look that read it last, or the one before it was there.
        const lookOf: number[] = []
        let longest = 0
        growth.forEach((more, look) => {
          while (lookOf.length < lastExecuted) lookOf.push(look - 1)
          const { from, to } = round.next({ lastExecuted, share: 1 / LOOKS })
          lookOf.fill(look, from - 1, to)
          for (const last of lookOf) longest = Math.max(longest, look - last)
          lastExecuted += more
        })
        expect(longest).toBeLessThanOrEqual(LOOKS)
      },
    ),
    { numRuns: 20 },
  )
})

test('a database that went back is read to where it stands', () => {
  const round = new HistoryRound()
  expect(round.next({ lastExecuted: 100, share: 0.5 })).toEqual({ from: 1, to: 50 })
  const { from, to } = round.next({ lastExecuted: 20, share: 0.5 })
  expect(to).toBeLessThan(from)
  expect(round.next({ lastExecuted: 20, share: 0.5 })).toEqual({ from: 1, to: 10 })
  expect(round.next({ lastExecuted: 22, share: 0.5 })).toEqual({ from: 11, to: 22 })
})
