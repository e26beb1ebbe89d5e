import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pbft, RunningCommand } from './cli-process.ts'

/** Recovering and settling have time-outs of their own; a slow machine is no failure. */
const RUN_MS_MAX = 300_000

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pbft-cli-chaos-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

const planFile = async (text: string): Promise<string> => {
  const file = join(directory, 'plan.yaml')
  await writeFile(file, text)
  return file
}

test.each([
  ['no such file', ['nowhere.yaml'], 'nowhere.yaml: cannot be read (ENOENT)'],
  ['a file and a profile', ['x.yaml', '--profile', 'crash'], 'exclude each other'],
  ['no such profile', ['--profile', 'cash'], 'crash, primary, network'],
  ['too few replicas', ['--replicas', '3'], 'whole number from 4'],
  ['no such seed', ['--seed', '-1'], 'whole number'],
  ['liars that do nothing', ['--liars', '2'], '--liars is of --byzantine'],
  ['more liars than replicas', ['--byzantine', 'mute', '--liars', '5'], 'only 4 replicas'],
])('%s: said, nothing started, exit code 2', async (_, args, says) => {
  const { code, stderr } = await pbft(['chaos', 'run', ...args])
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(says) })
})

test('a plan that is wrong: line, column and field; exit code 2', async () => {
  const file = await planFile('steps:\n  - kind: ProcessChaos\n    action: kil\n')
  const { code, stderr } = await pbft(['chaos', 'run', file])
  expect(code).toBe(2)
  expect(stderr).toContain(`${file}:3:5: steps.0.action: must be one of kill`)
})

test('a plan beyond tolerance: the names; exit code 2', async () => {
  const file = await planFile(
    'steps:\n  - {kind: ProcessChaos, action: kill, selector: {replicas: [1, 2]}}\n',
  )
  const { code, stderr } = await pbft(['chaos', 'run', file])
  expect(code).toBe(2)
  expect(stderr).toContain(
    '2 replicas could be faulty at a time, and of 4 only 1 may be: replica 1, replica 2',
  )
})

test('--dry-run prints a plan that is one, the same for the same seed, and starts nothing', async () => {
  const args = ['chaos', 'run', '--profile', 'mixed', '--seed', '7', '--dry-run']
  const { code, stdout } = await pbft(args)
  expect(code).toBe(0)
  expect((await pbft(args)).stdout).toBe(stdout)
  const again = await pbft(['chaos', 'run', await planFile(stdout), '--dry-run'])
  expect(again).toMatchObject({ code: 0, stdout })
})

test(
  'a run: passes, is a directory, and can be judged again',
  async () => {
    const out = join(directory, 'run')
    const file = await planFile(`
seconds: 6
load: {clients: 2, callers: 2, floor: 1}
demands: [view-change]
steps:
  - {kind: ProcessChaos, action: kill, mode: primary, duration: 1s}
`)
    const ran = await pbft(['chaos', 'run', file, '--seed', '3', '--out', out, '--json'])
    expect(JSON.parse(ran.stdout)).toMatchObject({
      verdict: 'pass',
      reasons: [],
      seed: 3,
      faults: { struck: 1 },
    })
    expect(ran.code).toBe(0)
    expect(ran.stderr.split('\n')[0]).toContain('seed 3')
    expect(await readFile(join(out, 'junit.xml'), 'utf8')).toContain('failures="0"')
    const { code, stdout } = await pbft(['check', '--run', out, '--json'])
    expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 0, verdict: 'pass' })
  },
  RUN_MS_MAX,
)

test(
  'one liar too many breaks agreement, and the run says so; exit code 1',
  async () => {
    const out = join(directory, 'liars')
    const args = ['--byzantine', 'equivocation; two-faced', '--liars', '2', '--seconds', '20', '--out', out]
    const { code, stdout } = await pbft(['chaos', 'run', ...args, '--json'])
    const { verdict, check } = JSON.parse(stdout)
    expect({ code, verdict }).toEqual({ code: 1, verdict: 'fail' })
    expect(check.properties).toContainEqual(
      expect.objectContaining({ property: 'agreement', verdict: 'fail' }),
    )
  },
  RUN_MS_MAX,
)

test(
  'Ctrl-C: heals, judges what there is, says that it was broken off',
  async () => {
    const out = join(directory, 'cut')
    const file = await planFile(
      'steps:\n  - {kind: ProcessChaos, action: kill, selector: {replicas: [1]}, duration: 1h}\n',
    )
    const running = new RunningCommand(['chaos', 'run', file, '--out', out])
    await running.saysError('begin')
    const { code, stdout } = await running.stop('SIGINT')
    expect(stdout).toContain('interrupted before its plan ended')
    expect(stdout).toContain('INCONCLUSIVE')
    expect(code).toBe(2)
  },
  RUN_MS_MAX,
)
