import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { pbft } from './cli-process.ts'

const directory = mkdtempSync(join(tmpdir(), 'pbft-scenario-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const HEADER = 'Set Number,Transactions,Live,Byzantine,Attack'
/** As another program may have written it: a byte order mark, CRLF, rows that end early. */
function fileOf(...rows: readonly string[]): string {
  const path = join(directory, `${rows.length}-${rows.join('').length}.csv`)
  writeFileSync(path, `\ufeff${[HEADER, ...rows, ''].join('\r\n')}`)
  return path
}
const ALL = '"[n1, n2, n3, n4, n5, n6, n7]"'

test('real replicas: a primary whose signatures are wrong is replaced, and without a quorum nothing is executed', async () => {
  const file = fileOf(
    `3,"(A, C, 5)",${ALL},"[n1]","[sign]"`,
    ',"(C, E, 20)"',
    ',(C),,,',
    '9,"(A, C, 5)","[n1, n2, n3, n4]",[],[]',
  )
  const input = 'views\nstatus\n(A, C, 5)\n3.2\nnext\nstatus 1\n'
  const { code, stdout, stderr } = await pbft(['scenario', 'run', file, '--patience', '30'], input)
  expect(stderr).toBe('')
  const [first = '', second = ''] = stdout.split('set 9   live')
  expect(first).toMatch(/^\(A, C, 5\) +executed +seq \d+: A 5, C 15 /m)
  expect(first).toMatch(/^\(C, E, 20\) +refused +insufficient-funds: C /m)
  expect(first).toMatch(/^\(C\) +balance +15 /m)
  expect(first).toMatch(/^NEW-VIEW \d+ of n[2-7], on VIEW-CHANGEs of n/m)
  expect(first).toMatch(/^ *\d+ {2}\w+ +E +E +E +E +E +E +\(A, C, 5\)$/m)
  expect(first).toMatch(/^replica .*\nn2 +correct +\d+ +5 +10 +15 .*\nscenario> /m)
  expect(first).toContain('set 3: PASS')
  expect(second).toMatch(/^\(A, C, 5\) +not executed +nothing was sent: no quorum, 4 of 7 /m)
  expect(second.match(/^n\d +(correct|down) +0( +10){10}$/gm)).toHaveLength(7)
  expect(second).toMatch(/^ *1( +X){7} +-$/m)
  expect(second).toContain('set 9: PASS')
  expect(stdout).toMatch(/\n2 of 2 sets passed\n$/)
  expect(code).toBe(0)
}, 180_000)

describe('simulated', () => {
  const simulated = (file: string, ...more: readonly string[]) =>
    pbft(['scenario', 'run', file, '--runtime', 'sim', ...more])

  test('--json: one document on stdout, the report on stderr', async () => {
    const file = fileOf(`2,"(A, B, 4)",${ALL},,`, ',"(B)"')
    const { code, stdout, stderr } = await simulated(file, '--json')
    expect(code).toBe(0)
    expect(stderr).toContain('set 2: PASS')
    expect(JSON.parse(stdout)).toMatchObject({
      runtime: 'sim',
      left: 0,
      sets: [
        {
          number: 2,
          live: ['n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n7'],
          verdict: 'pass',
          transactions: [
            { transaction: '(A, B, 4)', kind: 'executed', fromBalance: '6', toBalance: '14' },
            { transaction: '(B)', kind: 'balance', balance: '14' },
          ],
          check: { verdict: 'pass' },
        },
      ],
    })
  })

  test('exit 2 where a verdict cannot be given, and where sets are left out', async () => {
    const liars = fileOf(`1,"(A, B, 4)",${ALL},${ALL},[crash]`)
    expect(await simulated(liars, '--non-interactive')).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('\n0 of 1 sets passed\n'),
    })
    const two = fileOf(`1,(A),${ALL},,`, `2,(A),${ALL},,`)
    expect(await pbft(['scenario', 'run', two, '--runtime', 'sim'], 'quit\n')).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('\n1 of 2 sets passed, 1 not run\n'),
    })
    expect(await pbft(['scenario', 'run', two, '--runtime', 'sim'], 'db\n')).toMatchObject({ code: 0 })
  })

  test('--debug: the messages between the heading and the report', async () => {
    const { stdout } = await simulated(fileOf(`1,"(A, B, 4)",${ALL},,`), '--debug', '--non-interactive')
    expect(stdout).toMatch(/^set 1 .*\n( +0\.\d{3} s {2}n\d .*\n){50,}transaction/)
    expect(stdout).toMatch(/ s {2}n1 -> n2 {2}PRE-PREPARE view 0 seq 1 /)
  })

  test('a wrong file: every problem with its place, on stderr, and nothing runs', async () => {
    const file = fileOf('1,"(A, K, 0)",[n1],[],[]', ',"(A, B)"')
    expect(await simulated(file, '--json')).toEqual({
      code: 2,
      stdout: '',
      stderr: [
        'pbft: the scenario is wrong:',
        `${file}:2:8: expected a client, A to J, not "K"`,
        `${file}:2:11: expected an amount, a whole number from 1 on, not "0"`,
        `${file}:3:8: a transfer (SENDER, RECEIVER, AMOUNT) or a read (CLIENT): expected "," and an amount, not ")"`,
        '',
      ].join('\n'),
    })
  })

  test('no file: said, and exit 2', async () => {
    const { code, stderr } = await simulated(join(directory, 'none.csv'))
    expect(code).toBe(2)
    expect(stderr).toContain('none.csv: cannot be read (ENOENT)')
  })
})
