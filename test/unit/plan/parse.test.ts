import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parsePlan } from '../../../chaos/plan/parse.ts'
import { PlanError } from '../../../chaos/plan/plan.ts'

const GOOD = `name: try me
seconds: 30
cluster: {replicas: 7, checkpointInterval: 8}
steps:
  - kind: ProcessChaos
    action: kill
    mode: primary
    duration: 3s
  - parallel:
      - kind: NetworkChaos
        action: delay
        selector: {replicas: [1, 2]}
        delay: {latency: 50ms, jitter: 10ms}
        schedule: '@every 5s'
        times: 2
      - serial: [{suspend: 2s}, {await: level}]
`
const parse = (text: string) => parsePlan({ name: 'p.yaml', text })

test('a plan: what it says, and what it leaves to be as usual', () => {
  const plan = parse(GOOD)
  expect(plan).toMatchObject({
    name: 'try me',
    seconds: 30,
    strikeSeconds: 30,
    beyondTolerance: false,
    cluster: { replicas: 7, checkpointInterval: 8, viewChangeTimeoutMs: 500 },
    load: { clients: 3 },
    demands: [],
  })
  expect(plan.steps[0]).toEqual({
    type: 'fault',
    path: 'steps.0',
    selection: { mode: 'primary', value: 1, replicas: null },
    durationMs: 3_000,
    strike: { kind: 'ProcessChaos', action: 'kill' },
  })
  expect(plan.steps[1]).toMatchObject({
    type: 'parallel',
    steps: [
      {
        type: 'repeat',
        path: 'steps.1.parallel.0',
        everyMs: 5_000,
        times: 2,
        // Named replicas are all meant.
        fault: {
          selection: { mode: 'all', replicas: [1, 2] },
          strike: { rule: { delayMs: 50, jitterMs: 10 } },
        },
      },
      {
        type: 'serial',
        steps: [
          { type: 'suspend', ms: 2_000 },
          { type: 'await', timeoutMs: 60_000 },
        ],
      },
    ],
  })
})

test('what is asked on the command line counts more than the file', () => {
  const plan = parsePlan({ name: 'p.yaml', text: GOOD }, { replicas: 4, seconds: 10 })
  expect(plan).toMatchObject({ seconds: 10, strikeSeconds: 10, cluster: { replicas: 4 } })
})

test.each([
  ['25', 0.25],
  ["'25'", 0.25],
  ['25%', 0.25],
  ['0.5', 0.005],
])('a share of %s percent', (text, loss) => {
  const [step] = parse(`steps: [{kind: NetworkChaos, action: loss, loss: {loss: ${text}}}]`).steps
  expect(step).toMatchObject({ strike: { rule: { loss } } })
})

test.each([
  [
    'a misspelt action',
    GOOD.replace('kill', 'kil'),
    'p.yaml:6:5: steps.0.action: must be one of kill',
    'did you mean kill?',
  ],
  ['a misspelt mode', GOOD.replace('primary', 'prymary'), 'steps.0.mode:', 'did you mean primary?'],
  [
    'a wrong duration',
    GOOD.replace('50ms', '50 msec'),
    'p.yaml:13:17: steps.1.parallel.0.delay.latency: must be a duration',
    '"50 msec"',
  ],
  ['a negative duration', GOOD.replace('3s', '-3s'), 'steps.0.duration: must be a duration', '"-3s"'],
  [
    'a replica that is not there',
    GOOD.replace('[1, 2]', '[1, 9]'),
    'there is no replica 9: they are 0 to 6',
    '',
  ],
  [
    'fixed without a value',
    GOOD.replace('mode: primary', 'mode: fixed'),
    'steps.0.mode: mode fixed takes a value',
    '',
  ],
  [
    'more than there are',
    GOOD.replace('mode: primary', 'mode: fixed\n    value: 8'),
    'there are only 7 replicas',
    '',
  ],
  [
    'a misspelt field',
    GOOD.replace('duration: 3s', 'duraton: 3s'),
    'p.yaml:8:5: steps.0.duraton: unknown field "duraton"',
    '',
  ],
  [
    'a kind of another tool',
    GOOD.replace('ProcessChaos', 'PodChaos'),
    'steps.0.kind: must be one of ProcessChaos, NetworkChaos',
    '"PodChaos"',
  ],
  [
    'a misspelt step',
    GOOD.replace('await: level', 'awat: level'),
    'unknown field "awat": did you mean await?',
    '',
  ],
  ['no steps', 'steps: []', 'steps: must have a step', ''],
  ['steps that are no list', 'steps: 5', 'p.yaml:1:1: steps:', 'received 5'],
  ['a step that is nothing', 'steps: [null]', 'steps.0: a step must be a map', ''],
  ['a field beside serial', 'steps: [{serial: [{suspend: 1s}], x: 1}]', 'steps.0.x: unknown field "x"', ''],
  ['not YAML', 'a: [b', 'p.yaml:1:', ''],
  ['nothing', '', 'p.yaml:', ''],
  [
    'a missing part',
    'steps: [{kind: NetworkChaos, action: loss}]',
    'steps.0.loss: the field "loss" is missing',
    '',
  ],
  [
    'lies without leave',
    'steps: [{kind: MessageChaos, action: drop, drop: {messages: [commit]}}]',
    'allowByzantine: true',
    '',
  ],
  [
    'a lying client without leave',
    'load: {liars: flood}\nsteps: [{suspend: 1s}]',
    'load.liars: a client lies here: the plan must say allowByzantine: true',
    '',
  ],
  [
    'an unknown lie of a client',
    'allowByzantine: true\nload: {liars: two-faces}\nsteps: [{suspend: 1s}]',
    'load.liars: column 1: "two-faces" is no behaviour',
    '',
  ],
  [
    'an unknown message',
    'allowByzantine: true\nsteps: [{kind: MessageChaos, action: drop, drop: {messages: [comit]}}]',
    'no message type "comit"',
    '',
  ],
  [
    'times without a schedule',
    'steps: [{kind: ProcessChaos, action: kill, times: 3}]',
    'only a fault with a schedule',
    '',
  ],
  [
    'a schedule of cron',
    "steps: [{kind: ProcessChaos, action: kill, schedule: '*/5 * * * *'}]",
    "must be '@every'",
    '',
  ],
  [
    'a demand that nobody knows',
    'demands: [viewchange]\nsteps: [{suspend: 1s}]',
    'demands.0:',
    'did you mean view-change?',
  ],
  ['a rate of 0', 'steps: [{kind: TimeChaos, action: rate, rate: 0}]', 'steps.0.rate:', ''],
  ['not a number', 'steps: [{kind: TimeChaos, action: rate, rate: .nan}]', 'steps.0.rate:', ''],
  ['an endless alias', 'x: &a [*a]\nsteps: *a', 'p.yaml', ''],
  ['the same key twice', 'steps: [{suspend: 1s, suspend: 2s}]', 'p.yaml:1:', 'unique'],
])('%s is an error that says where, and what belongs there', (_, text, where, what) => {
  const failure = () => parse(text)
  expect(failure).toThrow(PlanError)
  expect(failure).toThrow(where)
  expect(failure).toThrow(what)
})

test('steps that stand in each other without end', () => {
  const deep = `steps: ${'[{serial: '.repeat(40)}[{suspend: 1s}]${'}]'.repeat(40)}`
  expect(() => parse(deep)).toThrow(/16 deep at most/)
})

test('aliases that would multiply are refused', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 9; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  expect(() => parse(`${lines.join('\n')}\nsteps: *a8`)).toThrow(PlanError)
})

test('whatever a file holds, it is a plan or a PlanError', () => {
  const words = fc.constantFrom(
    'steps',
    'kind',
    'action',
    'kill',
    'serial',
    '- ',
    '{',
    '}',
    '[',
    ']',
    ': ',
    '\n',
    '  ',
    '5s',
    '&a',
    '*a',
    '!!x',
    '#',
    "'",
    '"',
    '|',
    '\u0000',
    '🦊',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(words, { maxLength: 40 }).map((all) => all.join('')),
      ),
      (text) => {
        try {
          parse(text)
        } catch (error) {
          if (!(error instanceof PlanError)) throw error
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

test('whatever value stands at any place of a good plan, it is a plan or a PlanError', () => {
  const lines = GOOD.split('\n').filter((line) => line.includes(': '))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: lines.length - 1 }), fc.json({ maxDepth: 2 }), (at, json) => {
      const line = lines[at] ?? ''
      const text = GOOD.replace(line, `${line.slice(0, line.indexOf(': ') + 2)}${json}`)
      try {
        parse(text)
      } catch (error) {
        if (!(error instanceof PlanError)) throw error
      }
    }),
    { numRuns: 1_000 },
  )
})
