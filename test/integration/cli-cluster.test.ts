import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findHome } from '../../db/provision/data-directory.ts'
import { type EmbeddedDatabase, removeEmbedded, startEmbedded } from '../../db/provision/embedded.ts'
import { findPostmaster } from '../../db/provision/postmaster.ts'
import { databaseUrl } from '../../db/provision/url.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { bundlePaths, loadBundle } from '../../replica/runtime/bundle.ts'
import { type Ended, isAlive, pbft, pidOf, RunningCommand } from './cli-process.ts'

const REPLICAS = [0, 1, 2, 3]
let parent: string
let cluster: string
let up: RunningCommand

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'pbft-cluster-'))
  await chmod(parent, 0o755)
  cluster = join(parent, 'bank')
  up = await startUp()
})

afterAll(async () => {
  await up.stop()
  for (const id of REPLICAS) await removeEmbedded(bundlePaths(bundleOf(cluster, id)).postgres)
  await rm(parent, { recursive: true, force: true })
})

async function startUp(): Promise<RunningCommand> {
  const running = new RunningCommand(['up', '--dir', cluster])
  await running.says('Ctrl-C stops everything')
  return running
}

const client = (words: string, ...options: string[]): Promise<Ended> =>
  pbft(['client', '--cluster', cluster, ...options, ...words.split(' ')])

async function sql(replica: number, text: string): Promise<pg.QueryResult> {
  const { own } = await loadBundle(bundleOf(cluster, replica))
  if (own.database.kind !== 'embedded') throw new Error('up makes embedded databases')
  const { port, user, password } = own.database
  const connection = new pg.Client(
    databaseUrl({ host: '127.0.0.1', port, user, password, database: 'postgres' }),
  )
  await connection.connect()
  try {
    return await connection.query(text)
  } finally {
    await connection.end()
  }
}

async function startServerOf(replica: number): Promise<EmbeddedDatabase> {
  const directory = bundleOf(cluster, replica)
  const { own } = await loadBundle(directory)
  if (own.database.kind !== 'embedded') throw new Error('up makes embedded databases')
  const { port, user, password } = own.database
  return startEmbedded({ directory: bundlePaths(directory).postgres, port, user, password })
}

/** 0 when no server runs. */
async function postmasterPid(replica: number): Promise<number> {
  const home = await findHome(bundlePaths(bundleOf(cluster, replica)).postgres)
  return home === undefined ? 0 : ((await findPostmaster(home.data))?.pid ?? 0)
}

describe('pbft client', () => {
  test('answers a comma list, each with a result of its own', async () => {
    const { code, stdout } = await client('deposit A 100, get A, deposit B 200, get B, withdraw C 100, get C')
    expect(code).toBe(0)
    expect(stdout.match(/^(A|B|C): \d+$/gm)).toEqual(['A: 1100', 'B: 1200', 'C: 900'])
  })

  test.each([
    'move 100 from B to A',
    'deposit $100 to A',
    'withdraw 200 from B',
    'get current balance for A',
  ])('%s', async (words) => expect(await client(words)).toMatchObject({ code: 0, stderr: '' }))

  test('refuses what the bank refuses, with exit code 1', async () => {
    const { code, stdout } = await client('withdraw A 999999')
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining('insufficient-funds') })
    expect(await client('get Nobody')).toMatchObject({ code: 1 })
  })

  test.each(['deposit A -5', 'deposit A 0', 'deposit A 1.5', 'deposit A 99999999999999999999', 'depsit A 5'])(
    'refuses to understand: %s',
    async (words) => expect(await client(words)).toMatchObject({ code: 2 }),
  )

  test('prints a line of JSON per result', async () => {
    const { stdout } = await client('get A, get J', '--json')
    const results = stdout.trim().split('\n')
    expect(results.map((line) => JSON.parse(line))).toMatchObject([
      { command: 'balance', ok: true },
      { command: 'balance', ok: true, result: { balance: '1000' } },
    ])
  })

  test('runs a script from stdin, and names the line that failed', async () => {
    const { code, stdout } = await pbft(
      ['client', '--cluster', cluster],
      'get J\n# a remark\nget Nobody\nget I\n',
    )
    expect(code).toBe(1)
    expect(stdout).toMatch(/J: 1000\n.*unknown-account.*\nI: 1000/)
  })
})

describe('pbft status, check, bench', () => {
  test('status says of each replica how it is', async () => {
    const { code, stdout } = await pbft(['status', '--cluster', cluster])
    expect(code).toBe(0)
    expect(stdout.match(/primary|backup/g)).toEqual(['primary', 'backup', 'backup', 'backup'])
    expect(stdout).toContain('4 of 4 replicas are up')
    const { own } = await loadBundle(bundleOf(cluster, 0))
    expect(stdout).not.toContain(own.database.kind === 'embedded' ? own.database.password : '-')
  })

  test('bench gives its figures as JSON, and a line each second', async () => {
    const args = [
      'bench',
      '--cluster',
      cluster,
      '--seconds',
      '1',
      '--warmup',
      '0',
      '--accounts',
      '10',
      '--json',
    ]
    const { code, stdout, stderr } = await pbft(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^ +1 s .* ops\/s/m) })
    expect(JSON.parse(stdout)).toMatchObject({
      throughputOps: expect.any(Number),
      latencyMs: {
        p50: expect.any(Number),
        p95: expect.any(Number),
        p99: expect.any(Number),
        max: expect.any(Number),
      },
      operations: expect.any(Number),
      errors: 0,
      batchOperationsMean: expect.any(Number),
    })
  })

  test('check passes on a running cluster', async () => {
    const { code, stdout } = await pbft(['check', '--cluster', cluster, '--json'])
    expect({ code, verdict: JSON.parse(stdout).verdict }).toEqual({ code: 0, verdict: 'pass' })
  })

  test('check names the table, row and column that somebody changed', async () => {
    await sql(2, `update accounts set balance = balance + 1 where id = 'D'`)
    const { code, stdout } = await pbft(['check', '--cluster', cluster])
    await sql(2, `update accounts set balance = balance - 1 where id = 'D'`)
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /table accounts, row D, column balance: replica 2 has \d+; replicas 0, 1 and 3 have \d+, as the model says/,
    )
  })
})

describe('pbft up', () => {
  test('is refused where another one runs, which goes on', async () => {
    const { code, stderr } = await pbft(['up', '--dir', cluster])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('another `pbft up` runs this cluster'),
    })
    expect(await client('get A')).toMatchObject({ code: 0 })
  })

  test('reports a replica that was killed and leaves it to be brought back', async () => {
    const bundle = bundleOf(cluster, 3)
    process.kill(await pidOf(bundle), 'SIGKILL')
    await up.says('replica 3 ended: SIGKILL. 3 of 4 run')
    expect(await pbft(['status', '--cluster', cluster])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('no answer'),
    })
    expect(await client('open Z, deposit Z 5')).toMatchObject({ code: 0 })
    const replica = new RunningCommand(['replica', '--dir', bundle])
    try {
      await replica.says('serves at')
      await up.says('replica 3 is back')
      expect(await pbft(['check', '--cluster', cluster])).toMatchObject({ code: 0 })
    } finally {
      expect(await replica.stop()).toMatchObject({ code: 0 })
    }
  })

  test('says that there is no quorum with two of four, and the client says that it cannot tell', async () => {
    await up.says('replica 3, which was started elsewhere, ended')
    process.kill(await pidOf(bundleOf(cluster, 2)), 'SIGKILL')
    await up.says('2 of 4 run: no quorum')
    const status = await pbft(['status', '--cluster', cluster])
    expect(status).toMatchObject({ code: 1, stdout: expect.stringContaining('no quorum: 2 of 4') })
    expect(await client('get A')).toMatchObject({ code: 2, stderr: expect.stringContaining('no quorum') })
  })

  test('leaves no process behind, goes on where it was, and check works in between', async () => {
    const servers = await Promise.all(REPLICAS.map((id) => postmasterPid(id)))
    const pids = [
      await pidOf(bundleOf(cluster, 0)),
      await pidOf(bundleOf(cluster, 1)),
      ...servers.filter(Boolean),
    ]
    expect(await up.stop()).toMatchObject({ code: 0 })
    expect(pids.filter(isAlive)).toEqual([])
    expect(await pbft(['check', '--cluster', cluster])).toMatchObject({ code: 0 })
    expect(await Promise.all(REPLICAS.map(postmasterPid))).toEqual([0, 0, 0, 0])
    up = await startUp()
    expect((await client('get Z')).stdout).toBe('Z: 5\n')
  })

  test('ends what an `up` that was killed left running', async () => {
    const left = await pidOf(bundleOf(cluster, 1))
    await up.stop('SIGKILL')
    expect(isAlive(left)).toBe(true)
    up = await startUp()
    expect(up.stdout).toContain('replica 1 was left running')
    expect(isAlive(left)).toBe(false)
    expect(await client('get A')).toMatchObject({ code: 0 })
  })

  test('stops everything when it is interrupted on its way up', async () => {
    await up.stop()
    const starting = new RunningCommand(['up', '--dir', cluster])
    await starting.says('going on with the cluster')
    expect(await starting.stop('SIGTERM')).toMatchObject({ code: 0 })
    expect(await Promise.all(REPLICAS.map(postmasterPid))).toEqual([0, 0, 0, 0])
    up = await startUp()
  })
})

describe('what contradicts itself', () => {
  test('[D4] a database that contradicts the vote log stops its replica, and check says where', async () => {
    await up.stop()
    const server = await startServerOf(1)
    await sql(
      1,
      "update chain set batch_digest = decode(repeat('ab', 32), 'hex') where seq = (select max(seq) from chain)",
    )
    await server.stop()
    const { code, stderr } = await pbft(['replica', '--dir', bundleOf(cluster, 1)])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('database-contradicts-log') })
    const check = await pbft(['check', '--cluster', cluster])
    expect(check).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/table chain, row \d+, column batch_digest: replica 1 has/),
    })
    expect(await Promise.all(REPLICAS.map(postmasterPid))).toEqual([0, 0, 0, 0])
  })

  test('a database that holds nothing can’t be compared', async () => {
    const empty = join(parent, 'empty')
    expect(await pbft(['init', '--dir', empty])).toMatchObject({ code: 0 })
    const { code, stdout } = await pbft(['check', '--cluster', empty])
    expect({ code, stdout }).toEqual({ code: 2, stdout: expect.stringContaining('never started') })
    expect(await readdir(bundleOf(empty, 0))).not.toContain('postgres')
  })
})
