import { create } from 'xmlbuilder2'
import type { RunEvidence } from './verdict.ts'

type Case = {
  readonly group: 'check' | 'demand' | 'run'
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly text: string
}

/** The run as a JUnit suite: a case for each property, each demand, the load and the run itself. */
export function junitOf(name: string, evidence: RunEvidence, seconds: number): string {
  const cases = [...propertyCases(evidence), ...demandCases(evidence), ...runCases(evidence)]
  const count = (outcome: Case['outcome']) => cases.filter((one) => one.outcome === outcome).length
  const root = create({ version: '1.0', encoding: 'UTF-8', invalidCharReplacement: '?' })
  const suite = root.ele('testsuites').ele('testsuite', {
    name,
    tests: cases.length,
    failures: count('failed'),
    skipped: count('skipped'),
    time: seconds.toFixed(1),
  })
  for (const { group, name, outcome, text } of cases) {
    const one = suite.ele('testcase', { classname: group, name })
    if (outcome === 'failed') one.ele('failure').txt(text)
    else if (outcome === 'skipped') one.ele('skipped', { message: text })
    else if (text !== '') one.ele('system-out').txt(text)
  }
  return `${root.end({ prettyPrint: true })}\n`
}

const OUTCOMES = { pass: 'passed', fail: 'failed', unknown: 'skipped' } as const

const propertyCases = ({ check }: RunEvidence): Case[] =>
  check.properties.map(({ property, verdict, findings, notChecked }) => ({
    group: 'check',
    name: property,
    outcome: OUTCOMES[verdict],
    text: [...findings, ...notChecked].join('\n'),
  }))

const demandCases = ({ demands }: RunEvidence): Case[] =>
  demands.map(({ demand, count, example }) => ({
    group: 'demand',
    name: demand,
    outcome: count > 0 ? 'passed' : 'failed',
    text: count > 0 ? `${count} times; ${example ?? ''}` : 'it never happened',
  }))

function runCases({ load, incidents, interrupted }: RunEvidence): Case[] {
  const { operationsPerSecond, floor } = load
  const tooLittle = operationsPerSecond !== null && operationsPerSecond < floor
  return [
    {
      group: 'run',
      name: 'load before the first fault',
      outcome: tooLittle ? 'failed' : 'passed',
      text:
        operationsPerSecond === null ? '' : `${Math.round(operationsPerSecond)} operations/s, floor ${floor}`,
    },
    {
      group: 'run',
      name: 'nothing else went wrong',
      outcome: incidents.length > 0 ? 'failed' : 'passed',
      text: incidents.join('\n'),
    },
    {
      group: 'run',
      name: 'ran to its end',
      outcome: interrupted ? 'skipped' : 'passed',
      text: interrupted ? 'interrupted' : '',
    },
  ]
}
