import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { PostgresStore } from '../../db/postgres/store.ts'
import { removeEmbedded, startEmbedded } from '../../db/provision/embedded.ts'
import type { BatchAt } from '../../db/store.ts'
import { DEFAULT_PARAMETERS, type Genesis } from '../../protocol/config.ts'
import { digestOf } from '../../protocol/crypto.ts'
import type { AccountId, Operation } from '../../protocol/operations.ts'
import { batchOf } from '../../protocol/signing.ts'
import { clientId, lane, replicaId, requestNumber, seq } from '../../protocol/types.ts'

const TELLER = 1000
const FUNDS = 1_000_000n

export const accountAt = (i: number): AccountId => `account-${i}`

/** A ledger of so many accounts; nobody signs for it. */
export function genesisWith(accounts: number): Genesis {
  const key = (id: number) => digestOf(Buffer.from(`key ${id}`))
  return {
    version: 1,
    clusterId: '00'.repeat(16),
    allowByzantine: false,
    parameters: DEFAULT_PARAMETERS,
    replicas: [0, 1, 2, 3].map((id) => ({ id, publicKey: key(id) })),
    clients: [{ id: TELLER, name: 'Bench', address: null, publicKey: key(TELLER), role: 'teller' }],
    accounts: Array.from({ length: accounts }, (_, i) => ({
      id: accountAt(i),
      owner: TELLER,
      balance: FUNDS,
    })),
    digest: digestOf(Buffer.from(`genesis of ${accounts}`)),
  }
}

/** A batch of one request of the teller's. */
export function batchWith(at: number, operations: readonly Operation[]): BatchAt {
  const body = Buffer.from(`request ${at}`)
  const request = {
    type: 'request' as const,
    client: clientId(TELLER),
    lane: lane(0),
    number: requestNumber(at),
    operations,
    digest: digestOf(body),
    body,
    signature: new Uint8Array(64),
    macs: [],
  }
  return { seq: seq(at), batch: batchOf([request]) }
}

/** Moves money between `2 * count` accounts, from account `first` on, each once. */
export const transfersFrom = (first: number, count: number): Operation[] =>
  Array.from({ length: count }, (_, i) => ({
    kind: 'transfer',
    from: accountAt(first + 2 * i),
    to: accountAt(first + 2 * i + 1),
    amount: 1n,
  }))

export type BenchServer = {
  /** A store on a new database. */
  store(genesis: Genesis): Promise<PostgresStore>
  stop(): Promise<void>
}

/** A server with files in a temporary directory. */
export async function benchServer(): Promise<BenchServer> {
  const directory = await mkdtemp(join(tmpdir(), 'pbft-bench-state-'))
  const server = await startEmbedded({ directory, port: await freePort(), user: 'pbft', password: 'bench' })
  const stores: PostgresStore[] = []
  return {
    async store(genesis) {
      const url = new URL(server.url)
      url.pathname = `bench_${stores.length + 1}`
      const admin = new pg.Client(server.url)
      await admin.connect()
      await admin.query(`create database bench_${stores.length + 1}`)
      await admin.end()
      const store = new PostgresStore({ url: url.href, genesis, replica: replicaId(0) })
      stores.push(store)
      return store
    },
    async stop() {
      await Promise.all(stores.map((store) => store.close()))
      await removeEmbedded(directory)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const listener = createServer()
  const { promise, resolve } = Promise.withResolvers<void>()
  listener.listen(0, '127.0.0.1', resolve)
  await promise
  const address = listener.address()
  listener.close()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
