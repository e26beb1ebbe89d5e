import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCluster } from '../../cli/new-cluster.ts'
import { type EmbeddedDatabase, removeEmbedded, startEmbedded } from '../../db/provision/embedded.ts'
import { freePorts } from '../../replica/local-cluster/free-ports.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { pbft, RunningCommand } from './cli-process.ts'

/** One Postgres server for all of this file; what each replica needs is a database in it. */
let parent: string
let cluster: string
let otherCluster: string
let server: EmbeddedDatabase
let databases = 0

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'pbft-bad-input-'))
  await chmod(parent, 0o755)
  const [port = 0] = await freePorts('127.0.0.1', 1)
  server = await startEmbedded({ directory: join(parent, 'postgres'), port, user: 'test', password: 'test' })
  cluster = join(parent, 'cluster')
  otherCluster = join(parent, 'other')
  for (const directory of [cluster, otherCluster]) {
    await makeCluster(directory, { replicas: 4, postgres: [0, 1, 2, 3].map((id) => urlOf(`unused${id}`)) })
  }
})

afterAll(async () => {
  await removeEmbedded(join(parent, 'postgres'))
  await rm(parent, { recursive: true, force: true })
})

function urlOf(database: string): string {
  const url = new URL(server.url)
  url.pathname = `/${database}`
  return url.toString()
}

async function newDatabase(): Promise<string> {
  const name = `ledger${++databases}`
  const client = new pg.Client({ connectionString: server.url })
  await client.connect()
  await client.query(`create database ${name}`)
  await client.end()
  return urlOf(name)
}

/** A copy of a replica's bundle, to be spoilt. */
async function bundle(id = 1, from = cluster): Promise<string> {
  const copy = await mkdtemp(join(parent, 'bundle-'))
  await cp(bundleOf(from, id), copy, { recursive: true })
  return copy
}

async function edit(file: string, change: (json: never) => void): Promise<void> {
  const json = JSON.parse(await readFile(file, 'utf8'))
  change(json as never)
  await writeFile(file, JSON.stringify(json))
}

const useDatabase = (directory: string, url: string) =>
  edit(join(directory, 'private.json'), (own: { database: object }) => {
    own.database = { kind: 'url', url }
  })

/** One line that says what, where and what to do; no stack. */
async function refused(directory: string, ...says: readonly (string | RegExp)[]): Promise<void> {
  const { code, stdout, stderr } = await pbft(['replica', '--dir', directory])
  expect(code).toBe(1)
  expect(stdout).toBe('')
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(/^pbft: /)
  for (const text of says) expect(stderr).toMatch(text)
}

describe('command lines that make no sense', () => {
  test('an unknown command: the nearest one is suggested', async () => {
    const { code, stderr } = await pbft(['stauts'])
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('Did you mean status?') })
  })

  test('fewer than four replicas', async () => {
    for (const command of ['init', 'up']) {
      const { code, stderr } = await pbft([command, '--dir', join(parent, 'three'), '--replicas', '3'])
      expect(code).toBe(2)
      expect(stderr).toMatch(/at least 4 replicas/)
    }
  })

  test('n that is not 3f+1 runs, and says which f it gives', async () => {
    const { code, stdout } = await pbft(['init', '--dir', join(parent, 'five'), '--replicas', '5'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/tolerates 1 fault, as 4 would/)
  })

  test('a directory that is a cluster already is not overwritten', async () => {
    const before = await readFile(join(cluster, 'genesis.json'), 'utf8')
    const { code, stderr } = await pbft(['init', '--dir', cluster])
    expect(code).toBe(1)
    expect(stderr).toMatch(/nothing is overwritten/)
    expect(await readFile(join(cluster, 'genesis.json'), 'utf8')).toBe(before)
  })

  test.each(['status', 'check', 'client', 'bench'])(
    '%s of a directory that is no cluster',
    async (command) => {
      const nothing = join(parent, 'nothing')
      const { code, stderr } = await pbft([command, '--cluster', nothing])
      expect(code).toBe(1)
      expect(stderr).toContain(join(nothing, 'genesis.json'))
    },
  )
})

describe('files that are wrong', () => {
  test('no bundle', async () => {
    const { code, stderr } = await pbft(['replica', '--dir', join(parent, 'nothing')])
    expect(code).toBe(2)
    expect(stderr).toMatch(/no such directory/)
  })

  test('a genesis file: the path of the field', async () => {
    const directory = await bundle()
    await edit(join(directory, 'genesis.json'), (genesis: { parameters: object }) => {
      Object.assign(genesis.parameters, { checkpointInterval: 'often' })
    })
    await refused(directory, 'genesis.json: parameters.checkpointInterval')
  })

  test('a genesis file that was edited is of another cluster', async () => {
    const directory = await bundle()
    await edit(join(directory, 'genesis.json'), (genesis: { accounts: object[] }) => genesis.accounts.pop())
    await refused(directory, 'cluster.json: genesisDigest')
  })

  test('a cluster file: the path of the field', async () => {
    const directory = await bundle()
    await edit(join(directory, 'cluster.json'), (file: { replicas: object[] }) => {
      Object.assign(file.replicas[2] ?? {}, { port: 70_000 })
    })
    await refused(directory, 'cluster.json: replicas.2.port')
  })

  test('a file that is not JSON', async () => {
    const directory = await bundle()
    await writeFile(join(directory, 'cluster.json'), '{')
    await refused(directory, /cluster.json: not JSON/)
  })

  test('a key that is missing', async () => {
    const directory = await bundle()
    await rm(join(directory, 'private.json'))
    await refused(directory, 'private.json', /missing/)
  })

  test('a key that others may read', async () => {
    const directory = await bundle()
    await chmod(join(directory, 'private.json'), 0o644)
    await refused(directory, 'private.json', /chmod 600/)
  })

  test("another replica's key", async () => {
    const directory = await bundle(1)
    await edit(join(directory, 'private.json'), (own: { id: number }) => {
      own.id = 2
    })
    await refused(directory, 'private.json: secretSeed')
  })
})

describe('[D5] vote logs that a replica cannot stand by', () => {
  const logOf = (directory: string) => join(directory, 'votes', 'votes-00000001.log')

  test('missing: it says what that means before anything else, and begins a new one', async () => {
    const directory = await bundle()
    await rm(join(directory, 'votes'), { recursive: true })
    const { code, stdout } = await pbft(['replica', '--dir', directory])
    // Its database cannot be reached either.
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: expect.stringContaining('no longer knows what it said'),
    })
    expect(await readdir(join(directory, 'votes'))).toContain('votes-00000001.log')
  })

  test.each([
    ['of another cluster', 1, () => otherCluster],
    ['of another replica', 2, () => cluster],
  ])('%s', async (_, id, from) => {
    const directory = await bundle(1)
    await rm(join(directory, 'votes'), { recursive: true })
    await cp(join(bundleOf(from(), id), 'votes'), join(directory, 'votes'), { recursive: true })
    await refused(directory, 'votes')
  })

  test('of a newer version', async () => {
    const directory = await bundle()
    const bytes = await readFile(logOf(directory))
    bytes.writeUInt32BE(99, 12)
    bytes.writeUInt32BE(crc32(bytes.subarray(12)), 8)
    await writeFile(logOf(directory), bytes)
    await refused(directory, /version/)
  })

  test('in use by another process', async () => {
    const directory = await bundle(0)
    await useDatabase(directory, await newDatabase())
    const running = new RunningCommand(['replica', '--dir', directory])
    try {
      await running.says('serves at')
      await refused(directory, `in use by process ${running.child.pid}`)
    } finally {
      await running.stop()
    }
  })
})

describe('ports that are taken', () => {
  test('of a replica: port, file and what to do', async () => {
    const directory = await bundle(3)
    await useDatabase(directory, await newDatabase())
    const file = JSON.parse(await readFile(join(directory, 'cluster.json'), 'utf8'))
    const { port } = file.replicas[3]
    const socket = createSocket('udp4').bind(port, '127.0.0.1')
    await once(socket, 'listening')
    try {
      await refused(directory, join(directory, 'cluster.json'), `${port}`, /in use/, /another port/)
      const { code, stderr } = await pbft(['up', '--dir', cluster])
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining(join(cluster, 'cluster.json')),
      })
    } finally {
      socket.close()
    }
  })

  test('of an embedded database: port, file and what to do', async () => {
    const directory = await bundle()
    const listener = createServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const address = listener.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await edit(join(directory, 'private.json'), (own: { database: object }) => {
      own.database = {
        kind: 'embedded',
        port,
        connectPort: null,
        user: 'u',
        password: 'p',
        dataDirectory: null,
      }
    })
    try {
      await refused(directory, `port ${port}`, /private.json/)
    } finally {
      listener.close()
    }
  })
})

describe('databases that are not this replica’s', () => {
  test('unreachable', async () => {
    const directory = await bundle()
    const [port = 0] = await freePorts('127.0.0.1', 1)
    await useDatabase(directory, `postgresql://u:secret@127.0.0.1:${port}/x`)
    await refused(directory, /cannot reach the database/, `${port}`)
    expect((await pbft(['replica', '--dir', directory])).stderr).not.toContain('secret')
  })

  test('with a password that it refuses', async () => {
    const directory = await bundle()
    const url = new URL(await newDatabase())
    url.password = 'wrong'
    await useDatabase(directory, url.toString())
    await refused(directory, /refuses/)
  })

  test('shared by two replicas, or of another cluster', async () => {
    const url = await newDatabase()
    const first = await bundle(0)
    await useDatabase(first, url)
    const running = new RunningCommand(['replica', '--dir', first])
    const second = await bundle(1)
    await useDatabase(second, url)
    const stranger = await bundle(2, otherCluster)
    await useDatabase(stranger, url)
    try {
      await running.says('serves at')
      await refused(second, /belongs to replica 0/, /of its own/)
    } finally {
      expect(await running.stop()).toMatchObject({ code: 0 })
    }
    await refused(stranger, /another cluster/)
  })
})
