import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadClusterFiles } from '../../../client/files.ts'
import { ConfigError, DEFAULT_TUNING, parseGenesis } from '../../../protocol/config.ts'
import { genesisText, seedOf } from './udp-bank.ts'

let dir = ''

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pbft-files-'))
  await writeFile(join(dir, 'genesis.json'), genesisText)
  const genesisDigest = parseGenesis({ name: 'genesis.json', text: genesisText }).digest
  const replicas = [0, 1, 2, 3].map((id) => ({ id, host: '127.0.0.1', port: 4_000 + id }))
  await writeFile(
    join(dir, 'cluster.json'),
    JSON.stringify({ version: 1, genesisDigest, replicas, tuning: DEFAULT_TUNING }),
  )
  await writeKey({ version: 1, id: 1000, secretSeed: seedOf(1000) })
})

afterEach(() => rm(dir, { recursive: true }))

async function writeKey(key: object, mode = 0o600): Promise<void> {
  await writeFile(join(dir, 'client.json'), JSON.stringify(key))
  await chmod(join(dir, 'client.json'), mode)
}

async function errorOf(): Promise<string> {
  const error = await loadClusterFiles(dir).catch((e: unknown) => e)
  expect(error).toBeInstanceOf(ConfigError)
  return String(error)
}

test('loads what belongs together', async () => {
  const { genesis, cluster, key } = await loadClusterFiles(dir)
  expect([genesis.replicas.length, cluster.replicas.length, key.id]).toEqual([4, 4, 1000])
})

test('a missing file is named, with where it comes from', async () => {
  await rm(join(dir, 'cluster.json'))
  expect(await errorOf()).toMatch(/cluster\.json: is missing\. Is this the directory/)
})

test('a malformed file is named with its field', async () => {
  await writeFile(join(dir, 'genesis.json'), genesisText.replace('"role":"teller"', '"role":"king"'))
  expect(await errorOf()).toMatch(/genesis\.json: clients\.0\.role/)
})

test('a key that others can read is refused with the command that mends it', async () => {
  await writeKey({ version: 1, id: 1000, secretSeed: seedOf(1000) }, 0o644)
  expect(await errorOf()).toMatch(/open to other users \(mode 644\).*chmod 600/)
})

test('a key of another cluster is refused before it is used', async () => {
  await writeKey({ version: 1, id: 1000, secretSeed: seedOf(7) })
  expect(await errorOf()).toContain('is not the key of client 1000')
  await writeKey({ version: 1, id: 1001, secretSeed: seedOf(7) })
  expect(await errorOf()).toContain('genesis admits no client 1001')
})
