import { expect, test } from 'vitest'
import { junitOf } from '../../../chaos/run/junit.ts'
import { judgeRun, type RunEvidence } from '../../../chaos/run/verdict.ts'

const PASSED: RunEvidence = {
  check: {
    verdict: 'pass',
    properties: [{ property: 'agreement', verdict: 'pass', isExpected: true, findings: [], notChecked: [] }],
  },
  incidents: [],
  demands: [{ demand: 'view-change', count: 2, example: 'replica 1 entered view 1' }],
  load: { operationsPerSecond: 400, floor: 100 },
  interrupted: false,
}

const property = (verdict: 'fail' | 'unknown') => ({
  verdict,
  properties: [
    {
      property: 'replay',
      verdict,
      isExpected: true,
      findings: ['row A differs'],
      notChecked: ['the logs are cut'],
    },
  ],
})

test.each<[string, Partial<RunEvidence>, string, string]>([
  ['a property that does not hold', { check: property('fail') }, 'fail', 'replay: row A differs'],
  ['a replica that ended', { incidents: ['replica 2 ended: SIGABRT'] }, 'fail', 'replica 2 ended'],
  [
    'a demand that never happened',
    { demands: [{ demand: 'repair', count: 0, example: null }] },
    'inconclusive',
    'repair was demanded',
  ],
  ['too little load', { load: { operationsPerSecond: 99, floor: 100 } }, 'inconclusive', 'under its floor'],
  ['interrupted', { interrupted: true }, 'inconclusive', 'interrupted'],
  ['a property that nobody can tell', { check: property('unknown') }, 'inconclusive', 'the logs are cut'],
])('%s', (_, evidence, verdict, reason) => {
  const judged = judgeRun({ ...PASSED, ...evidence })
  expect(judged.verdict).toBe(verdict)
  expect(judged.reasons.join()).toContain(reason)
})

test('all is well: a pass, without reasons', () => {
  expect(judgeRun(PASSED)).toEqual({ verdict: 'pass', reasons: [] })
})

test('what is wrong comes before what is doubtful', () => {
  const judged = judgeRun({ ...PASSED, interrupted: true, incidents: ['replica 2 ended'] })
  expect(judged).toMatchObject({ verdict: 'fail', reasons: ['replica 2 ended', expect.any(String)] })
})

test('JUnit: a case each, failures with their text, whatever characters they hold', () => {
  const evidence = { ...PASSED, check: property('fail'), incidents: ['replica 1: <&"\u0007>'] }
  const xml = junitOf('chaos mixed', evidence, 61.2)
  expect(xml).toContain('<testsuite name="chaos mixed" tests="5" failures="2" skipped="0" time="61.2">')
  expect(xml).toContain('row A differs')
  expect(xml).toContain('replica 1: &lt;&amp;"?&gt;')
  expect(junitOf('x', PASSED, 1)).toContain('failures="0"')
})
