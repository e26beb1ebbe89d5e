import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DEFAULT_PARAMETERS, DEFAULT_TUNING } from '../../../protocol/config.ts'
import { digestOf, keyPairFromSeed } from '../../../protocol/crypto.ts'
import { bundlePaths, loadBundle } from '../../../replica/runtime/bundle.ts'

const seedOf = (id: number) => Buffer.alloc(32, id + 1)
const publicKeyOf = (id: number) => Buffer.from(keyPairFromSeed(seedOf(id)).publicKey).toString('hex')

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pbft-bundle-'))
  const genesis = JSON.stringify({
    version: 1,
    clusterId: '00'.repeat(16),
    allowByzantine: false,
    parameters: DEFAULT_PARAMETERS,
    replicas: [0, 1, 2, 3].map((id) => ({ id, publicKey: publicKeyOf(id) })),
    clients: [],
    accounts: [],
  })
  writeFileSync(bundlePaths(directory).genesis, genesis)
  writeJson(bundlePaths(directory).cluster, {
    version: 1,
    genesisDigest: digestOf(Buffer.from(genesis)),
    replicas: [0, 1, 2, 3].map((id) => ({ id, host: '127.0.0.1', port: 7000 + id })),
    tuning: DEFAULT_TUNING,
  })
  writePrivate({})
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const writeJson = (path: string, value: unknown, mode = 0o644) =>
  writeFileSync(path, JSON.stringify(value), { mode })
function writePrivate(overrides: { id?: number; secretSeed?: string }): void {
  const file = {
    version: 1,
    id: 2,
    secretSeed: seedOf(2).toString('hex'),
    database: { kind: 'url', url: 'postgresql://localhost/pbft' },
    ...overrides,
  }
  writeJson(bundlePaths(directory).private, file, 0o600)
}

test('a whole bundle', async () => {
  const bundle = await loadBundle(directory)
  expect(bundle.own.id).toBe(2)
  expect(bundle.genesis.replicas).toHaveLength(4)
})

test.each(['genesis', 'cluster', 'private'] as const)(
  '%s.json missing: says which, and what to do',
  async (file) => {
    rmSync(bundlePaths(directory)[file])
    await expect(loadBundle(directory)).rejects.toThrow(new RegExp(`${file}\\.json: .*ENOENT`))
  },
)

test.each([0o604, 0o640, 0o660, 0o644])('a key that others may read (%o) is refused', async (mode) => {
  chmodSync(bundlePaths(directory).private, mode)
  await expect(loadBundle(directory)).rejects.toThrow(/others may read this key .*chmod 600/)
})

test('a stricter mode is fine', async () => {
  chmodSync(bundlePaths(directory).private, 0o400)
  await expect(loadBundle(directory)).resolves.toMatchObject({ directory })
})

test('a replica that genesis does not have', async () => {
  writePrivate({ id: 4 })
  await expect(loadBundle(directory)).rejects.toThrow(/private\.json: id: genesis has no replica 4/)
})

test('a key that is not the one genesis names, and it is not shown', async () => {
  const secretSeed = seedOf(3).toString('hex')
  writePrivate({ secretSeed })
  const error = await loadBundle(directory).catch((cause: unknown) => String(cause))
  expect(error).toMatch(/private\.json: secretSeed: is not the key/)
  expect(error).not.toContain(secretSeed)
})

test('a genesis that was edited no longer fits its cluster file', async () => {
  const { genesis } = bundlePaths(directory)
  writeFileSync(genesis, `${JSON.stringify(JSON.parse('{}'))}`)
  await expect(loadBundle(directory)).rejects.toThrow(/genesis\.json: version: /)
})
