import { chmod, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { readResult } from '../../chaos/experiments/result.ts'
import { registryDirectory } from '../../chaos/live/run-registry.ts'
import { pbft, RunningCommand } from './cli-process.ts'

/** Two clusters are made and taken down one after the other. */
const TIMEOUT_MS = 240_000
let parent: string
let before: string | undefined

beforeAll(async () => {
  parent = await realpath(await mkdtemp(join(tmpdir(), 'pbft-experiment-test-')))
  await chmod(parent, 0o755)
  before = process.env.TMPDIR
  process.env.TMPDIR = parent
})

afterAll(async () => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  await rm(parent, { recursive: true, force: true })
})

const clusters = async (): Promise<string[]> =>
  (await readdir(parent)).filter((name) => name.startsWith('pbft-experiment-'))

test('measures without and with a crash of the primary, and every database is as it should be', {
  timeout: TIMEOUT_MS,
}, async () => {
  const out = join(parent, 'result.json')
  const args = ['experiment', 'iterations', '--iterations', '150', '--runs', '1', '--restarts', '1']
  const { code, stdout } = await pbft([...args, '--checkpoint-interval', '1', '--out', out])
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('1 x crash') })
  const { runs, isComplete } = await readResult(out)
  expect(isComplete).toBe(true)
  expect(runs).toMatchObject([
    { restarts: 0, reads: 75, writes: 75, unanswered: 0, viewChanges: 0, crashes: [], verdict: 'pass' },
    { restarts: 1, reads: 75, writes: 75, unanswered: 0, crashes: [{ wasPrimary: true }], verdict: 'pass' },
  ])
  const crashed = runs[1]
  expect(crashed?.viewChanges).toBeGreaterThanOrEqual(1)
  expect(crashed?.stateTransfers).toBeGreaterThanOrEqual(1)
  for (const { downFrom, downTo } of crashed?.crashes ?? [])
    expect(downTo - downFrom).toBeGreaterThanOrEqual(30)
  expect((await readFile(join(parent, 'result.csv'), 'utf8')).trimEnd().split('\n')).toHaveLength(3)
  expect(await clusters()).toEqual([])
  expect(await readdir(registryDirectory())).toEqual([])

  const compared = await pbft(['experiment', 'iterations', '--compare', out, out])
  expect(compared).toMatchObject({ code: 0, stdout: expect.stringContaining('(100 %)') })
})

test.each([
  // The next cluster is being made.
  ' state transfers, pass',
  'run 2 of 2: 1,000,000 iterations: ',
])(
  'Ctrl-C at "%s" prints and stores what there is, and leaves nothing behind',
  {
    timeout: TIMEOUT_MS,
  },
  async (moment) => {
    const out = join(parent, 'interrupted.json')
    const running = new RunningCommand([
      'experiment',
      'iterations',
      '--iterations',
      '10,1000000',
      '--runs',
      '1',
      '--out',
      out,
    ])
    onTestFinished(async () => void (await running.stop('SIGKILL')))
    await running.saysError(moment)
    const { code, stdout } = await running.stop('SIGINT')
    expect({ code, stdout }).toEqual({ code: 130, stdout: expect.stringContaining('runs are missing') })
    const { runs, isComplete } = await readResult(out)
    expect({ isComplete, iterations: runs.map(({ iterations }) => iterations) }).toEqual({
      isComplete: false,
      iterations: [10],
    })
    expect(await clusters()).toEqual([])
    expect(await readdir(registryDirectory())).toEqual([])
  },
)

test.each([
  { args: ['--iterations', '11', '--restarts', '4'], says: 'do not fit into 11 iterations' },
  { args: ['--iterations', '10,x'], says: 'whole number' },
  { args: ['--iterations', '10,10'], says: 'twice' },
  { args: ['--restarts', '9'], says: 'from 0 to 4' },
  { args: ['--compare', 'a', 'b', 'c'], says: 'one file, or two' },
])('$args is not understood', async ({ args, says }) => {
  const { code, stderr } = await pbft(['experiment', 'iterations', ...args])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(says) })
})

test('a file that is no result is refused with its name', async () => {
  const { code, stderr } = await pbft(['experiment', 'iterations', '--compare', join(parent, 'none.json')])
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('none.json: cannot be read') })
})

describe('faults', () => {
  const faults = (...args: readonly string[]) => pbft(['experiment', 'faults', ...args])

  test('stores results, table and plot; f+1 are no failure, and the same command prints the same table', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const out = join(parent, 'faults.json')
    const plot = join(parent, 'faults.svg')
    const small = [
      '--replicas',
      '4',
      '--byzantine',
      'crash; mute',
      '--drop',
      '0',
      '--runs',
      '1',
      '--writes',
      '4',
    ]
    const first = await faults(...small, '--deadline', '2', '--out', out, '--plot', plot)
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^4 +2\* +0 +1 +0 %/m) })
    expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({ isComplete: true, runs: { length: 3 } })
    expect((await readFile(join(parent, 'faults.csv'), 'utf8')).trimEnd().split('\n')).toHaveLength(4)
    expect(await readFile(plot, 'utf8')).toMatch(/^<svg/)
    const again = await faults(...small, '--deadline', '2', '--workers', '1', '--out', out)
    expect(again.stdout).toBe(first.stdout)
  })

  test.each([
    [['--runtime', 'real', '--replicas', '4,10'], '--runtime real takes --replicas 4 and 7'],
    [['--malicious', 'many'], 'It must be numbers and ranges, such as 0..f+1'],
    [['--replicas', '4', '--malicious', '4'], 'leaves no correct replica'],
    [['--byzantine', 'lie'], '"lie" is no behaviour'],
    [['--drop', '2'], 'It must be such as 0..0.2'],
  ])('%j is refused', async (args, why) => {
    expect(await faults(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(why) })
  })
})
