import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { PostgresStore } from '../../../db/postgres/store.ts'
import { removeEmbedded, startEmbedded } from '../../../db/provision/embedded.ts'
import { replicaId } from '../../../protocol/types.ts'
import { genesisOf } from './fixture.ts'

export type Row = Readonly<Record<string, unknown>>
/** As the server's superuser, on the database of `url`. */
export type Sql = (text: string) => Promise<readonly Row[]>

export type ScratchPostgres = {
  readonly pid: number
  /** A database of its own, empty. */
  database(): Promise<{ readonly url: string; readonly sql: Sql }>
  /** Starts the server again on its files, after it was killed. */
  restart(): Promise<void>
  stop(): Promise<void>
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

/** A connection per call: the server has few. */
const sqlOn =
  (url: string): Sql =>
  async (text) => {
    const client = new pg.Client(url)
    await client.connect()
    try {
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

/** A real server with files in a temporary directory. */
export async function scratchPostgres(): Promise<ScratchPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'pbft-store-'))
  const options = { directory, port: await freePort(), user: 'pbft', password: 'p@ss/word' }
  let server = await startEmbedded(options)
  const admin = sqlOn(server.url)
  let databases = 0
  return {
    get pid() {
      return server.pid
    },
    async database() {
      const name = `scratch_${++databases}`
      await admin(`create database ${name}`)
      const url = new URL(server.url)
      url.pathname = name
      return { url: url.href, sql: sqlOn(url.href) }
    },
    async restart() {
      server = await startEmbedded(options)
    },
    async stop() {
      await removeEmbedded(directory)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export const storeOn = (url: string, { replica = 0, genesis = genesisOf() } = {}): PostgresStore =>
  new PostgresStore({ url, genesis, replica: replicaId(replica) })
