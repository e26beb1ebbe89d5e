import { expect, test } from 'vitest'
import { checkRule, combined, type LinkRule } from '../../../chaos/live/link-rule.ts'

test.each<LinkRule>([
  {},
  { loss: 0, duplicate: 1, corrupt: 0.5, replay: 0.1, reorder: 0.2, reorderMs: 3 },
  { delayMs: 0, jitterMs: 60_000, bytesPerSecond: 1, cut: true },
])('%j is a rule', (rule) => expect(() => checkRule(rule)).not.toThrow())

test.each<[LinkRule, RegExp]>([
  [{ loss: -0.1 }, /loss/],
  [{ loss: 1.1 }, /loss/],
  [{ corrupt: Number.NaN }, /corrupt/],
  [{ delayMs: -1 }, /delayMs/],
  [{ jitterMs: 60_001 }, /jitterMs/],
  [{ reorderMs: Number.POSITIVE_INFINITY }, /reorderMs/],
  [{ bytesPerSecond: 0 }, /bytesPerSecond/],
])('%j is none, and the field is named', (rule, field) => expect(() => checkRule(rule)).toThrow(field))

test('no rules are none', () => expect(combined([])).toBeNull())

test('chances combine, delays add up, the lower rate and any cut hold', () => {
  const sum = combined([
    { loss: 0.5, delayMs: 10, jitterMs: 1, bytesPerSecond: 100 },
    { loss: 0.5, delayMs: 5, jitterMs: 2, bytesPerSecond: 50, reorder: 0.1 },
  ])
  expect(sum).toMatchObject({ loss: 0.75, delayMs: 15, jitterMs: 3, bytesPerSecond: 50, cut: false })
  expect(sum?.reorderMs).toBeGreaterThan(0)
  expect(combined([{ cut: true }, {}])?.cut).toBe(true)
})
