import { describe, expect, test } from 'vitest'
import {
  ConfigError,
  DEFAULT_PARAMETERS,
  DEFAULT_TUNING,
  logWindowOf,
  parseClientPrivate,
  parseCluster,
  parseGenesis,
  parseReplicaPrivate,
} from '../../../protocol/config.ts'
import { digestOf } from '../../../protocol/crypto.ts'

const KEY = 'ab'.repeat(32)
const GENESIS = {
  version: 1,
  clusterId: '00'.repeat(16),
  allowByzantine: false,
  parameters: DEFAULT_PARAMETERS,
  replicas: [0, 1, 2, 3].map((id) => ({ id, publicKey: KEY })),
  clients: [
    { id: 1000, name: 'Tess', address: null, publicKey: KEY, role: 'teller' },
    { id: 1001, name: 'Alice', address: '1 Main Street', publicKey: KEY, role: 'customer' },
  ],
  accounts: [{ id: 'a', owner: 1001, balance: '100' }],
}
const textOf = (value: unknown) => ({ name: 'some/genesis.json', text: JSON.stringify(value) })
const genesis = parseGenesis(textOf(GENESIS))

const CLUSTER = {
  version: 1,
  genesisDigest: genesis.digest,
  replicas: [0, 1, 2, 3].map((id) => ({ id, host: '127.0.0.1', port: 7000 + id })),
  tuning: DEFAULT_TUNING,
}
const PRIVATE = {
  version: 1,
  id: 2,
  secretSeed: KEY,
  database: { kind: 'url', url: 'postgresql://localhost/pbft' },
}

/** The value with what stands at `path` replaced; undefined takes it away. */
function withField(value: unknown, path: string, replacement: unknown): unknown {
  const copy: unknown = structuredClone(value)
  const keys = path.split('.')
  let at = copy as Record<string, unknown>
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>
  const last = keys.at(-1) ?? ''
  if (replacement === undefined) delete at[last]
  else at[last] = replacement
  return copy
}

function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('genesis', () => {
  test('is read, balances as bigint', () => {
    expect(genesis).toMatchObject({ ...GENESIS, accounts: [{ id: 'a', owner: 1001, balance: 100n }] })
    expect(logWindowOf(genesis.parameters)).toBe(256)
  })

  test('[NC9] its digest is of the bytes of the file', () => {
    expect(genesis.digest).toBe(digestOf(Buffer.from(JSON.stringify(GENESIS))))
    expect(parseGenesis({ name: 'g', text: JSON.stringify(GENESIS, null, 2) }).digest).not.toBe(
      genesis.digest,
    )
  })

  const wrong: readonly [string, unknown][] = [
    ['version', 2],
    ['clusterId', '00'],
    ['clusterId', 'G0'.repeat(16)],
    ['allowByzantine', 'no'],
    ['parameters.checkpointInterval', 0],
    ['parameters.checkpointInterval', 1.5],
    ['parameters', { ...DEFAULT_PARAMETERS, checkpointInterval: 20_000 }],
    ['parameters.batchOperationsMax', 10_001],
    ['parameters.lanesPerClientMax', 1],
    ['parameters.requestBytesMax', '100000'],
    ['replicas.2.publicKey', 'ab'],
    ['replicas.1.id', -1],
    ['replicas.1.id', 1000],
    ['clients.0.id', 999],
    ['clients.0.id', 2 ** 32],
    ['clients.1.role', 'admin'],
    ['clients.1.name', ''],
    ['accounts.0.id', '@external'],
    ['accounts.0.id', 'a b'],
    ['accounts.0.balance', 100],
    ['accounts.0.balance', '-1'],
    ['accounts.0.balance', '007'],
    ['accounts.0.balance', '9223372036854775808'],
    ['accounts.0.owner', 3],
    ['replicas', GENESIS.replicas.slice(1)],
    ['replicas', undefined],
    ['surplus', 1],
  ]
  test.each(wrong)('names the path %s (%j)', (path, value) => {
    const message = messageOf(() => parseGenesis(textOf(withField(GENESIS, path, value))))
    expect(message.startsWith(`some/genesis.json: ${path}: `)).toBe(true)
    expect(message).toContain('pbft init')
  })

  const contradictory: readonly [string, unknown, RegExp][] = [
    ['replicas', GENESIS.replicas.toReversed(), /numbered/],
    ['clients', [...GENESIS.clients, GENESIS.clients[0]], /two clients/],
    ['accounts', [...GENESIS.accounts, ...GENESIS.accounts], /two accounts/],
    ['accounts', [{ id: 'x', owner: 1999, balance: '1' }], /owned by nobody/],
    [
      'accounts',
      ['x', 'y'].map((id) => ({ id, owner: 1001, balance: '9223372036854775807' })),
      /add up to more/,
    ],
  ]
  test.each(contradictory)('contradictions in %s', (path, value, why) => {
    const message = messageOf(() => parseGenesis(textOf(withField(GENESIS, path, value))))
    expect(message).toContain(`: ${path}: `)
    expect(message).toMatch(why)
  })

  test('no JSON', () => {
    expect(messageOf(() => parseGenesis({ name: 'g.json', text: '{' }))).toMatch(/^g.json: not JSON/)
    expect(messageOf(() => parseGenesis({ name: 'g.json', text: '7' }))).toMatch(/^g.json: \(top level\): /)
  })
})

describe('cluster', () => {
  const parse = (value: unknown) =>
    parseCluster({ name: 'cluster.json', text: JSON.stringify(value) }, genesis)

  test('is read', () => expect(parse(CLUSTER)).toEqual(CLUSTER))

  const wrong: readonly [string, unknown][] = [
    ['version', 2],
    ['genesisDigest', 'ab'.repeat(32)],
    ['replicas.1.host', ''],
    ['replicas.1.port', 0],
    ['replicas.1.port', 65_536],
    ['replicas.3', undefined],
    ['replicas.1.id', 2],
    ['tuning.inFlightMax', 0],
    ['tuning.payloadBytes', 100],
    ['tuning.statusBusyMs', 1.5],
    ['tuning.viewChangeTimeoutMs', 0],
    ['tuning.scrubIntervalMs', undefined],
  ]
  test.each(wrong)('names the path %s (%j)', (path, value) => {
    expect(messageOf(() => parse(withField(CLUSTER, path, value)))).toContain(
      `cluster.json: ${path === 'replicas.1.id' ? 'replicas.1' : path}`,
    )
  })

  test('addresses of replicas that genesis does not have', () => {
    const replicas = [...CLUSTER.replicas, { id: 4, host: '127.0.0.1', port: 7004 }]
    expect(messageOf(() => parse({ ...CLUSTER, replicas }))).toContain('cluster.json: replicas.4: ')
  })
})

describe('private files', () => {
  const parse = (value: unknown) => parseReplicaPrivate({ name: 'private.json', text: JSON.stringify(value) })

  test('are read', () => {
    expect(parse(PRIVATE)).toEqual(PRIVATE)
    const client = { version: 1, id: 1001, secretSeed: KEY }
    expect(parseClientPrivate({ name: 'c.json', text: JSON.stringify(client) })).toEqual(client)
  })

  const wrong: readonly [string, unknown][] = [
    ['id', 1000],
    ['secretSeed', KEY.slice(2)],
    ['database.url', 'mysql://localhost'],
    ['database.kind', 'oracle'],
    ['database', undefined],
  ]
  test.each(wrong)('name the path %s (%j)', (path, value) => {
    expect(messageOf(() => parse(withField(PRIVATE, path, value)))).toContain(`private.json: ${path}: `)
  })

  test('a secret is never shown', () => {
    const secretSeed = 'zz'.repeat(32)
    expect(messageOf(() => parse({ ...PRIVATE, secretSeed }))).not.toContain(secretSeed)
    const url = 'mysql://user:hunter2@localhost'
    expect(messageOf(() => parse({ ...PRIVATE, database: { kind: 'url', url } }))).not.toContain('hunter2')
  })
})
