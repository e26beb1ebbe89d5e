import { expect, test } from 'vitest'
import type { CheckReport } from '../../../chaos/check/check.ts'
import type { PropertyReport } from '../../../chaos/check/finding.ts'
import { judgementOf } from '../../../chaos/scenario/real/evidence.ts'

const property = (name: PropertyReport['property'], of: Partial<PropertyReport> = {}): PropertyReport => ({
  property: name,
  verdict: 'pass',
  isExpected: true,
  checked: { from: 1, to: 1, count: 1 },
  findings: [],
  notChecked: [],
  notes: [],
  ...of,
})
const NOTHING = { verdict: 'unknown', checked: null } as const
const judged = (verdict: CheckReport['verdict'], ...properties: readonly PropertyReport[]) => {
  const counts = { databases: 7, batches: 1, operations: 1, signatures: 9, calls: 1 }
  return judgementOf({ ...counts, verdict, properties } as unknown as CheckReport)
}
const UNANSWERED = [property('answers', NOTHING), property('serializability', NOTHING)]

test('nobody was told anything: no answer can be wrong', () => {
  expect(judged('unknown', property('agreement'), ...UNANSWERED)).toMatchObject({
    verdict: 'pass',
    summary: expect.stringMatching(/^everything that was checked holds /),
  })
})

test('answers that should have been looked at and were not leave it unknown', () => {
  const answers = property('answers', { ...NOTHING, notChecked: ['the history could not be read'] })
  expect(judged('unknown', property('agreement'), answers)).toMatchObject({
    verdict: 'unknown',
    summary: expect.stringMatching(/^cannot be told: answers /),
  })
})

test('so does any other property that had nothing to look at', () => {
  expect(judged('unknown', property('agreement', NOTHING), ...UNANSWERED)).toMatchObject({
    verdict: 'unknown',
    summary: expect.stringMatching(/^cannot be told: agreement /),
  })
})

test('what does not hold fails', () => {
  const rows = property('replay', { verdict: 'fail' })
  expect(judged('fail', rows, ...UNANSWERED)).toMatchObject({
    verdict: 'fail',
    summary: expect.stringMatching(/^does not hold: replay /),
  })
})
