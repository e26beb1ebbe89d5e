import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isServerOf } from '../../../chaos/live/run-processes.ts'
import { RunRegistry } from '../../../chaos/live/run-registry.ts'

let parent: string
let registry: RunRegistry
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'pbft-registry-'))
  registry = new RunRegistry(join(parent, 'registry'))
})
afterEach(() => rm(parent, { recursive: true, force: true }))

const announce = (command = 'pbft bench') =>
  registry.announce({ command, directory: '/d', cluster: '/d/cluster', replicas: 4, keepsFiles: false })

test('a run whose owner lives is not taken; one whose owner let go of it is', async () => {
  const owned = await announce()
  expect(await registry.takeAbandoned()).toEqual([])
  owned.release()
  const [taken, ...others] = await registry.takeAbandoned()
  expect(others).toEqual([])
  expect(taken?.run).toMatchObject({ command: 'pbft bench', pid: process.pid, directory: '/d', homes: [] })
  // Whoever took it has it alone.
  expect(await registry.takeAbandoned()).toEqual([])
  await taken?.close()
  expect(await readdir(registry.directory)).toEqual([])
})

test('oldest first, and what was learnt since is in it', async () => {
  const first = await announce('pbft demo')
  const second = await announce('pbft bench')
  await first.noteHomes(['/elsewhere'])
  for (const run of [second, first]) run.release()
  const taken = await registry.takeAbandoned()
  expect(taken.map(({ run }) => run.command)).toHaveLength(2)
  expect(taken.find(({ run }) => run.command === 'pbft demo')?.run.homes).toEqual(['/elsewhere'])
  for (const run of taken) await run.close()
})

test('nobody else may look into it', async () => {
  const run = await announce()
  expect((await stat(registry.directory)).mode & 0o777).toBe(0o700)
  await run.close()
  expect((await stat(registry.directory)).uid).toBe(userInfo().uid)
})

test('write access of others is taken away; what is no directory is refused', async () => {
  await mkdir(registry.directory)
  await chmod(registry.directory, 0o777)
  await (await announce()).close()
  expect((await stat(registry.directory)).mode & 0o022).toBe(0)
  const file = join(parent, 'file')
  await writeFile(file, '')
  await expect(
    new RunRegistry(file).announce({
      command: '',
      directory: '/d',
      cluster: '/d',
      replicas: 4,
      keepsFiles: false,
    }),
  ).rejects.toThrow('belongs to another user, or is no directory')
})

test('an entry that is being made is left alone; its crumbs are removed when they are old', async () => {
  const entry = join(registry.directory, 'half')
  await mkdir(entry, { recursive: true, mode: 0o700 })
  expect(await registry.takeAbandoned()).toEqual([])
  expect(await readdir(registry.directory)).toEqual(['half'])
  const longAgo = new Date(Date.now() - 3_600_000)
  await utimes(entry, longAgo, longAgo)
  expect(await registry.takeAbandoned()).toEqual([])
  expect(await readdir(registry.directory)).toEqual([])
})

test('a torn description is no run', async () => {
  const run = await announce()
  await writeFile(join(run.entry, 'run.json'), '{"version":1,')
  run.release()
  expect(await registry.takeAbandoned()).toEqual([])
})

test('no registry, no runs', async () => {
  expect(await new RunRegistry(join(parent, 'none')).takeAbandoned()).toEqual([])
})

const run = { directory: '/tmp/pbft-bench-1', homes: ['/var/lib/pbft-ledger/replica-0-postgres-1'] }

test.each([
  {
    what: 'a postmaster',
    words: ['/x/bin/postgres', '-D', '/tmp/pbft-bench-1/cluster/replica-0/postgres/data'],
  },
  { what: 'one elsewhere', words: ['/x/postgres', '-D', '/var/lib/pbft-ledger/replica-0-postgres-1/data'] },
  {
    what: 'initdb',
    words: ['/x/bin/initdb', '--pgdata', '/tmp/pbft-bench-1/cluster/replica-0/postgres/i-1/data'],
  },
  {
    what: 'a backend',
    words: ['postgres: ledger postgres 127.0.0.1(1) idle'],
    workingDirectory: '/tmp/pbft-bench-1/cluster/replica-0/postgres/data',
  },
])('$what is a server of the run', ({ words, workingDirectory }) => {
  expect(isServerOf(run, { words, workingDirectory })).toBe(true)
})

test.each([
  { what: 'who reads a log', words: ['tail', '-f', '/tmp/pbft-bench-1/cluster/replica-0/replica.log'] },
  { what: 'a shell in it', words: ['bash'], workingDirectory: '/tmp/pbft-bench-1' },
  {
    what: 'a server of another run',
    words: ['/x/postgres', '-D', '/tmp/pbft-bench-11/cluster/replica-0/postgres/data'],
  },
  { what: 'a server of the machine', words: ['/usr/bin/postgres', '-D', '/var/lib/postgresql/data'] },
  {
    what: 'a backend of the machine',
    words: ['postgres: checkpointer '],
    workingDirectory: '/var/lib/postgresql/data',
  },
  { what: 'nothing', words: [] },
])('$what is not', ({ words, workingDirectory }) => {
  expect(isServerOf(run, { words, workingDirectory })).toBe(false)
})
