import { expect, test } from 'vitest'
import { simulate } from '../../chaos/sim/simulate.ts'
import { parseClientBehaviours } from '../../client/byzantine/behaviour.ts'
import { parseBehaviours } from '../../replica/byzantine/behaviour.ts'
import { pbft } from './cli-process.ts'

test('a seed replays its run: the same lines, byte for byte', async () => {
  const run = () => pbft(['simulate', '--seed', '7', '--trace'])
  const [first, second] = await Promise.all([run(), run()])
  const traceOf = ({ stdout }: { stdout: string }) => stdout.slice(0, stdout.lastIndexOf('what happened'))
  expect(first.code).toBe(0)
  expect(traceOf(first).length).toBeGreaterThan(10_000)
  expect(traceOf(first)).toBe(traceOf(second))
})

test('a campaign says what happened how often, and how fast', async () => {
  const { code, stdout } = await pbft([
    'simulate',
    '--seed',
    '1',
    '--runs',
    '3',
    '--faults',
    'none',
    '--json',
  ])
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    runs: 3,
    failures: [],
    happenings: expect.objectContaining({ 'committed by votes': expect.any(Number) }),
    runsPerSecond: expect.any(Number),
  })
})

test('it takes every flag of the command that shows a failure again', async () => {
  const { command } = simulate({
    seed: 3,
    replicas: 4,
    clients: 2,
    requests: 10,
    faults: ['loss', 'crash'],
    byzantine: { behaviours: parseBehaviours('dark(n3); sign', { replicas: 4 }), count: 1 },
    byzantineClients: parseClientBehaviours('two-bodies', { replicas: 4 }),
  })
  const [program, ...args] = [...command.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)
  expect(program).toBe('pbft')
  const { code, stdout } = await pbft([...args, '--json'])
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, runs: 1, failures: [] })
})

test.each([
  [[]],
  [['--seed', '-1']],
  [['--seed', '1', '--replicas', '3']],
  [['--seed', '1', '--clients', '0']],
  [['--seed', '1', '--faults', 'some']],
])('is not understood: %j', async (args) =>
  expect(await pbft(['simulate', ...args])).toMatchObject({ code: 2 }),
)
