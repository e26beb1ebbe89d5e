import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type pg from 'pg'
import { StoreError } from '../store.ts'
import type { Session } from './session.ts'

const TABLE = 'schema_migrations'
const silent = () => undefined
const SILENT = { debug: silent, info: silent, warn: silent, error: silent }

/**
 * Brings the schema up to this program's, each migration in a transaction of its own. The caller holds the lock.
 * @throws StoreError 'foreign' when a newer program was here
 */
export async function migrate(session: Session): Promise<void> {
  const directory = migrationsDirectory()
  const files = (await readdir(directory)).filter((name) => name.endsWith('.sql'))
  const known = new Set(files.map((name) => name.slice(0, -'.sql'.length)))
  const applied = await appliedMigrations(session)
  for (const name of applied) {
    if (!known.has(name)) {
      throw new StoreError(
        'foreign',
        `the database has migration ${name}, of a newer version: update pbft-ledger`,
      )
    }
  }
  if (applied.length === known.size) return
  // Loaded only where there is something to do: a tenth of a second that a restart need not spend.
  const { runner } = await import('node-pg-migrate')
  await runner({
    dbClient: session.client satisfies pg.ClientBase,
    dir: directory,
    direction: 'up',
    migrationsTable: TABLE,
    noLock: true,
    singleTransaction: false,
    logger: SILENT,
  })
}

async function appliedMigrations(session: Session): Promise<readonly string[]> {
  const [found] = await session.rows({ text: `select to_regclass('${TABLE}')` })
  if (found?.[0] === null) return []
  const rows = await session.rows({ text: `select name from ${TABLE} order by id` })
  return rows.flatMap(([name]) => (typeof name === 'string' ? [name] : []))
}

/** `migrations/` of the package: two levels up from the sources, three from the compiled files in `dist/`. */
function migrationsDirectory(): string {
  let directory = import.meta.dirname
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory)
    if (parent === directory) throw new StoreError('broken', 'migrations: no package.json above this file')
    directory = parent
  }
  return join(directory, 'migrations')
}
