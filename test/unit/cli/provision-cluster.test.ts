import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { claimKeys } from '../../../cli/client-key.ts'
import { UsageError } from '../../../cli/failure.ts'
import { makeCluster } from '../../../cli/new-cluster.ts'
import { loadClusterFiles } from '../../../client/files.ts'
import { replicaId } from '../../../protocol/types.ts'
import { bundleOf } from '../../../replica/local-cluster/layout.ts'
import { loadCluster } from '../../../replica/local-cluster.ts'
import { planCluster } from '../../../replica/provision-cluster.ts'
import { bundlePaths, loadBundle } from '../../../replica/runtime/bundle.ts'
import { VoteLog } from '../../../replica/runtime/vote-log/vote-log.ts'

let parent: string
let directory: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'pbft-provision-'))
  directory = join(parent, 'bank')
})
afterEach(() => rm(parent, { recursive: true, force: true }))

const choices = { replicas: 4, postgres: ['embedded'] }
const url = (id: number) => `postgresql://u:p@h/l${id}`

describe('a new cluster', () => {
  test('[D5] has a bundle per replica that a replica starts from, with its vote log', async () => {
    await makeCluster(directory, choices)
    const { genesis } = await loadCluster(directory)
    for (const { id } of genesis.replicas) {
      const bundle = await loadBundle(bundleOf(directory, id))
      expect(bundle.genesis.digest).toBe(genesis.digest)
      const identity = { genesisDigest: genesis.digest, replica: replicaId(id) }
      const { log, stats } = await VoteLog.open(bundlePaths(bundle.directory).votes, identity)
      await log.close()
      expect(stats.records).toBe(0)
    }
  })

  test('has accounts A to J for the first client, a teller', async () => {
    await makeCluster(directory, choices)
    const { genesis, key } = await loadClusterFiles(directory)
    expect(genesis.accounts.map(({ id }) => id).join('')).toBe('ABCDEFGHIJ')
    expect(genesis.accounts.every(({ owner, balance }) => owner === key.id && balance === 1_000n)).toBe(true)
    expect(genesis.clients.every(({ role }) => role === 'teller')).toBe(true)
  })

  test('keeps its secrets to its owner, and out of the public files', async () => {
    await makeCluster(directory, choices)
    const names = await readdir(directory, { recursive: true })
    const secrets: string[] = []
    for (const name of names.filter((name) => /(private|client[-\d]*)\.json$/.test(name))) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
      secrets.push(JSON.parse(await readFile(join(directory, name), 'utf8')).secretSeed)
    }
    expect(new Set(secrets).size).toBe(4 + 8)
    for (const name of names.filter((name) => /(genesis|cluster)\.json$/.test(name))) {
      const text = await readFile(join(directory, name), 'utf8')
      expect(secrets.some((secret) => text.includes(secret))).toBe(false)
    }
  })

  test('has ports of its own: UDP and Postgres, all different', async () => {
    await makeCluster(directory, choices)
    const { cluster } = await loadCluster(directory)
    const bundles = await Promise.all(cluster.replicas.map(({ id }) => loadBundle(bundleOf(directory, id))))
    const ports = [
      ...cluster.replicas.map(({ port }) => port),
      ...bundles.map(({ own }) => (own.database.kind === 'embedded' ? own.database.port : 0)),
    ]
    expect(new Set(ports).size).toBe(8)
  })

  test('is complete or not there: nothing is left beside it', async () => {
    await makeCluster(directory, choices)
    expect(await readdir(parent)).toEqual(['bank'])
  })

  test('is never made over anything', async () => {
    await makeCluster(directory, choices)
    await expect(makeCluster(directory, choices)).rejects.toThrow(/there is a cluster already/)
    await rm(directory, { recursive: true })
    await writeFile(join(parent, 'file'), '')
    await expect(makeCluster(parent, choices)).rejects.toThrow(/is not empty/)
  })

  test('can have numbered accounts, other databases, hosts and checkpoints', async () => {
    const hosts = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']
    const postgres = [0, 1, 2, 3].map(url)
    await makeCluster(directory, { replicas: 4, hosts, postgres, accounts: 12, checkpointInterval: 7 })
    const { genesis, cluster } = await loadCluster(directory)
    expect(genesis.accounts.map(({ id }) => id).slice(8)).toEqual([
      'acct-09',
      'acct-10',
      'acct-11',
      'acct-12',
    ])
    expect(genesis.parameters.checkpointInterval).toBe(7)
    expect(cluster.replicas.map(({ host }) => host)).toEqual(hosts)
    const { own } = await loadBundle(bundleOf(directory, 2))
    expect(own.database).toEqual({ kind: 'url', url: url(2) })
  })

  test.each([
    ['fewer than four replicas', { replicas: 3, postgres: ['embedded'] }, /at least 4/],
    ['one host for four replicas', { ...choices, hosts: ['10.0.0.1'] }, /one each is needed/],
    ['a host that is no address', { ...choices, hosts: ['a', 'b', 'c', 'd'] }, /must be an IP address/],
    ['one URL for four replicas', { replicas: 4, postgres: [url(1)] }, /one each is needed/],
    ['one database for two replicas', { replicas: 4, postgres: [1, 2, 3, 1].map(url) }, /the same database/],
    ['a database that is neither', { replicas: 4, postgres: ['mysql'] }, /embedded, docker or postgresql/],
  ])('is refused with %s, and nothing is written', async (_, wrong, message) => {
    const made = makeCluster(directory, wrong)
    await expect(made).rejects.toThrow(message)
    await expect(made).rejects.toBeInstanceOf(UsageError)
    expect(await readdir(parent)).toEqual([])
  })
})

test('the same randomness plans the same cluster', () => {
  const plan = () =>
    planCluster(
      {
        addresses: [1, 2, 3, 4].map((port) => ({ host: '127.0.0.1', port })),
        databases: [1, 2, 3, 4].map((id) => ({ kind: 'url', url: url(id) })),
        clients: 1,
        accounts: [],
      },
      (bytes) => new Uint8Array(bytes).fill(7),
    )
  expect(plan()).toEqual(plan())
})

describe('client keys', () => {
  test('go to one command each, and back', async () => {
    await makeCluster(directory, choices)
    const first = await claimKeys(directory, 5)
    const second = await claimKeys(directory, 3)
    const ids = [...first, ...second].map(({ files }) => files.key.id)
    expect(new Set(ids).size).toBe(8)
    expect(ids[0]).toBe(1000)
    await expect(claimKeys(directory, 1)).rejects.toThrow(/in use/)
    first[0]?.release()
    const again = await claimKeys(directory, 1)
    expect(again[0]?.files.key.id).toBe(1000)
    for (const { release } of [...again, ...first.slice(1), ...second]) release()
  })

  test('that are wanted and not there leave the others free', async () => {
    await makeCluster(directory, choices)
    await expect(claimKeys(directory, 9)).rejects.toThrow(/only 8 are not in use/)
    const all = await claimKeys(directory, 8)
    for (const { release } of all) release()
  })
})
