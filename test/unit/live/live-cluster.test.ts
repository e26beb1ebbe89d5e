import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LiveChoices, LiveCluster } from '../../../chaos/live/live-cluster.ts'
import { ConfigError, parseReplicaPrivate } from '../../../protocol/config.ts'
import { bundleOf } from '../../../replica/local-cluster/layout.ts'
import { bundlePaths, loadBundle } from '../../../replica/runtime/bundle.ts'

const CHOICES: LiveChoices = {
  replicas: 4,
  clients: 2,
  accounts: [{ id: 'a', balance: 5n }],
  postgres: ['embedded'],
  seed: 1,
}
const url = (id: number): string => `postgresql://user:secret@db-${id}.example:6543/ledger`

let parent: string
let directory: string
let cluster: LiveCluster | undefined

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'pbft-live-'))
  directory = join(parent, 'cluster')
})
afterEach(async () => {
  await cluster?.stop()
  cluster = undefined
  await rm(parent, { recursive: true, force: true })
})

async function make(choices: Partial<LiveChoices> = {}): Promise<LiveCluster> {
  cluster = await LiveCluster.make(directory, { ...CHOICES, ...choices })
  return cluster
}
const bundles = (live: LiveCluster) =>
  Promise.all(live.replicas.map((id) => loadBundle(bundleOf(directory, id))))

describe('the files that it writes', () => {
  test('each replica reaches every other one through a proxy of their own, and listens where it is reached', async () => {
    const live = await make()
    const seen = (await bundles(live)).map(({ cluster }) => cluster.replicas.map(({ port }) => port))
    const proxied = seen.flatMap((ports, id) => ports.filter((_, other) => other !== id))
    expect(new Set(proxied).size).toBe(12)
    const listening = seen.map((ports, id) => ports[id])
    expect(new Set([...proxied, ...listening]).size).toBe(16)
  })

  test('clients reach replicas through proxies, each with a key of its own', async () => {
    const live = await make()
    const files = [await live.clientFiles(0), await live.clientFiles(1)]
    expect(new Set(files.map(({ key }) => key.id)).size).toBe(2)
    const own = (await bundles(live)).map(({ cluster }, id) => cluster.replicas[id]?.port)
    for (const { cluster } of files) {
      for (const { id, port } of cluster.replicas) expect(port).not.toBe(own[id])
    }
    await expect(live.clientFiles(2)).rejects.toThrow(/clients 0 to 1/)
  })

  test('an embedded server has its own port, and its replica connects to the proxy', async () => {
    const live = await make()
    for (const { own } of await bundles(live)) {
      const { database } = own
      if (database.kind !== 'embedded') throw new Error('all are embedded')
      expect(database.connectPort).toBe(live.database(own.id).proxy.port)
      expect(database.connectPort).not.toBe(database.port)
      expect(new URL(live.database(own.id).url).port).toBe(String(database.port))
    }
  })

  test('a database behind a URL is reached through the proxy with the same user, password and name', async () => {
    const live = await make({ postgres: [0, 1, 2, 3].map(url) })
    for (const { own } of await bundles(live)) {
      const { port } = live.database(own.id).proxy
      expect(own.database).toEqual({ kind: 'url', url: `postgresql://user:secret@127.0.0.1:${port}/ledger` })
      expect(live.database(own.id).url).toBe(url(own.id))
      await expect(live.database(own.id).killServer()).rejects.toThrow(/behind a URL/)
    }
    await live.stop()
    const [stopped] = await bundles(live)
    expect(stopped?.own.database).toEqual({ kind: 'url', url: url(0) })
  })

  test('stopped, everything is where it is, so that it can be run by hand', async () => {
    const live = await make()
    await live.stop()
    const [first, ...others] = await bundles(live)
    for (const { cluster } of others) expect(cluster).toEqual(first?.cluster)
    for (const { own } of await bundles(live)) expect(own.database).toMatchObject({ connectPort: null })
  })

  test('without proxies everything is where it is', async () => {
    const live = await make({ udpProxy: false, databaseProxy: false })
    const [first, ...others] = await bundles(live)
    for (const { cluster } of others) expect(cluster).toEqual(first?.cluster)
    expect((await live.clientFiles(0)).cluster).toEqual(first?.cluster)
    expect(first?.own.database).toMatchObject({ kind: 'embedded', connectPort: null })
    expect(() => live.database(0).refuse()).toThrow(/no proxy/)
  })

  test('genesis says whether replicas may lie', async () => {
    expect((await make()).genesis.allowByzantine).toBe(false)
    await cluster?.remove()
    expect((await make({ allowByzantine: true })).genesis.allowByzantine).toBe(true)
  })
})

test.each<[string, Partial<LiveChoices>, RegExp]>([
  ['one URL for four replicas', { postgres: [url(0)] }, /1 database URLs for 4 replicas/],
  ['what is no URL', { postgres: ['embedded', 'embedded', 'mysql:', url(1)] }, /number 1 must be/],
  ['three replicas', { replicas: 3 }, /at least 4/],
])('%s is refused', async (_, choices, message) => {
  const made = make(choices)
  await expect(made).rejects.toThrow(message)
  await expect(made).rejects.toBeInstanceOf(ConfigError)
})

test('a directory that is there is refused', async () => {
  await make()
  await expect(LiveCluster.make(directory, CHOICES)).rejects.toThrow(/there is a cluster already/)
})

test('what does not run can be neither killed nor paused nor told anything, and stops and goes', async () => {
  const live = await make()
  expect(live.running).toEqual([])
  await expect(live.kill(1)).rejects.toThrow(/replica 1 is not running/)
  await expect(live.kill(4)).rejects.toThrow(/no replica 4/)
  expect(() => live.pause(1)).toThrow(/not running/)
  await expect(live.control(1, { kind: 'clock', rate: 2 })).rejects.toThrow(/not running/)
  await live.losePower([0, 1])
  await live.wipeVotes(2)
  await live.wipeVotes(2)
  await live.wipeDatabase(2)
  await live.remove()
  await live.stop()
  await expect(readFile(directory)).rejects.toThrow(/ENOENT/)
})

describe('connectPort', () => {
  const database = {
    kind: 'embedded',
    port: 1,
    connectPort: 2,
    user: 'u',
    password: 'p',
    dataDirectory: null,
  }
  const parse = (fields: object) =>
    parseReplicaPrivate({
      name: 'private.json',
      text: JSON.stringify({
        version: 1,
        id: 0,
        secretSeed: '00'.repeat(32),
        database: { ...database, ...fields },
      }),
    }).database

  test.each([2, null])('%s', (connectPort) => expect(parse({ connectPort })).toMatchObject({ connectPort }))
  test.each([0, 65_536, '2', undefined])('not %s', (connectPort) =>
    expect(() => parse({ connectPort })).toThrow(/private.json: database.connectPort: /),
  )
  test('is the server’s own where nothing stands between', async () => {
    const text = await make({ databaseProxy: false }).then(() =>
      readFile(bundlePaths(bundleOf(directory, 0)).private, 'utf8'),
    )
    expect(JSON.parse(text).database.connectPort).toBeNull()
  })
})
