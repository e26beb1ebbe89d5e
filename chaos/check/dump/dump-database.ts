import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { CURRENT_TABLES, HISTORICAL_TABLES, type TableName } from '../../../db/columns.ts'
import { storeError } from '../../../db/postgres/errors.ts'
import { KEYS, STORED } from '../../../db/postgres/tables.ts'
import { StoreError } from '../../../db/store.ts'

export const META_COLUMNS = 'cluster_id, genesis_digest, replica, last_executed, chain, epoch'
export const TABLE_NAMES: readonly TableName[] = [...HISTORICAL_TABLES, ...CURRENT_TABLES]
export const tableFile = (directory: string, table: TableName | 'meta'): string =>
  join(directory, `${table}.tsv`)

const CONNECT_TIMEOUT_MS = 5_000
const READ_ONLY = 'begin transaction isolation level repeatable read read only'

/**
 * Writes one consistent snapshot of a replica's database to `directory`: each table as a file of Postgres' COPY text,
 * ordered by key, and `meta.tsv`. The replica may go on meanwhile.
 *
 * @throws StoreError 'unavailable'; 'foreign' when there is no ledger; else what the file system throws
 */
export async function dumpDatabase(url: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  const client = new pg.Client({
    connectionString: url,
    application_name: 'pbft inspection',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  // A server that goes away shows in the query that is under way.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(`set bytea_output = 'hex'; set statement_timeout = 0; ${READ_ONLY}`)
    const { rows } = await client.query<{ found: string | null }>(`select to_regclass('meta') as found`)
    if (typeof rows[0]?.found !== 'string') throw new StoreError('foreign', 'the database holds no ledger')
    await copy(client, `select ${META_COLUMNS} from meta`, tableFile(directory, 'meta'))
    for (const table of TABLE_NAMES) {
      const select = `select ${STORED[table]} from ${table} order by ${KEYS[table].join(', ')}`
      await copy(client, select, tableFile(directory, table))
    }
  } catch (error) {
    throw storeError(error, 'dumping the database')
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function copy(client: pg.Client, select: string, file: string): Promise<void> {
  await pipeline(client.query(copyTo(`copy (${select}) to stdout`)), createWriteStream(file))
}
