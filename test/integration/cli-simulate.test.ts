import { expect, test } from 'vitest'
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

test.each([
  [[]],
  [['--seed', '-1']],
  [['--seed', '1', '--replicas', '3']],
  [['--seed', '1', '--faults', 'some']],
])('is not understood: %j', async (args) =>
  expect(await pbft(['simulate', ...args])).toMatchObject({ code: 2 }),
)
