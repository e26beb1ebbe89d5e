import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { ProvisionError } from './types.ts'
import { redactUrl } from './url.ts'

/** What is dropped has this in front of its name; nothing else ever is. */
const PREFIX = 'pbft_temporary_'
const NAME = new RegExp(`^${PREFIX}[0-9a-f]{12}$`)
const CONNECT_TIMEOUT_MS = 5_000
/** One cannot drop the database that one is connected to; these two are on every server. */
const NEIGHBOURS = ['postgres', 'template1']
const NO_SUCH_DATABASE = '3D000'

/**
 * A new, empty database on the server that `url` names, so that what is in the user's own stays as it is.
 * @returns its URL
 * @throws ProvisionError
 */
export async function createTemporaryDatabase(url: string): Promise<string> {
  const name = `${PREFIX}${randomBytes(6).toString('hex')}`
  try {
    // From template0: the other template may have somebody's tables in it.
    await execute(
      url,
      `create database ${name} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`,
    )
  } catch (cause) {
    throw new ProvisionError(
      'refused',
      `${redactUrl(url)}: a database for this run cannot be made there: ${messageOf(cause)}. The user of the URL needs ` +
        'the right to make databases (alter role ... createdb)',
      { cause },
    )
  }
  return withDatabase(url, name)
}

export const isTemporaryDatabase = (url: string): boolean => NAME.test(nameIn(url))

/** With whoever is connected to it. One that is gone is fine. @throws ProvisionError */
export async function dropTemporaryDatabase(url: string): Promise<void> {
  const name = nameIn(url)
  if (!NAME.test(name)) throw new ProvisionError('refused', `${redactUrl(url)} is no temporary database`)
  let failure: unknown
  for (const neighbour of NEIGHBOURS) {
    try {
      return await execute(withDatabase(url, neighbour), `drop database if exists ${name} with (force)`)
    } catch (error) {
      failure = error
      if (!(error instanceof pg.DatabaseError && error.code === NO_SUCH_DATABASE)) break
    }
  }
  throw new ProvisionError('failed', `${redactUrl(url)} cannot be dropped: ${messageOf(failure)}`, {
    cause: failure,
  })
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(sql)
  } finally {
    await client.end().catch(() => undefined)
  }
}

const nameIn = (url: string): string => (URL.canParse(url) ? new URL(url).pathname.slice(1) : '')

function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.toString()
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
