import { DatabaseSnapshot } from '../../db/postgres/snapshot.ts'
import { findHome, isInitialised } from '../../db/provision/data-directory.ts'
import { startEmbedded } from '../../db/provision/embedded.ts'
import { databaseUrl, redactUrl } from '../../db/provision/url.ts'
import { StoreError } from '../../db/store.ts'
import type { DatabaseConfig, Genesis } from '../../protocol/config.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { type Bundle, bundlePaths, loadBundle } from '../../replica/runtime/bundle.ts'
import { DirectoryLock } from '../../replica/runtime/vote-log/directory-lock.ts'
import { VoteLogError } from '../../replica/runtime/vote-log/vote-log-error.ts'
import { dumpDatabase } from './dump/dump-database.ts'

/** One replica's database, opened for reading whether its replica runs or not. */
export type OpenedDatabase = {
  readonly replica: number
  /** Redacted. */
  readonly url: string
  readonly snapshot: DatabaseSnapshot
  /** Writes all of its rows, as they are now, to a directory: see `dumpDatabase`. */
  dump(directory: string): Promise<void>
  /** Ends what opening it started. */
  close(): Promise<void>
}

export type UnreachableDatabase = { readonly replica: number; readonly reason: string }

/**
 * Opens the databases of all replicas whose bundles are in `directory`; an embedded one whose server does not run is
 * started until it is closed.
 */
export async function openDatabases(
  directory: string,
  genesis: Genesis,
): Promise<{
  readonly opened: readonly OpenedDatabase[]
  readonly unreachable: readonly UnreachableDatabase[]
}> {
  const attempts = await Promise.all(
    genesis.replicas.map(async ({ id }) => {
      try {
        return { opened: [await openDatabase(bundleOf(directory, id), { id, genesis })], unreachable: [] }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        return { opened: [], unreachable: [{ replica: id, reason }] }
      }
    }),
  )
  return {
    opened: attempts.flatMap(({ opened }) => opened),
    unreachable: attempts.flatMap(({ unreachable }) => unreachable),
  }
}

async function openDatabase(
  directory: string,
  { id, genesis }: { readonly id: number; readonly genesis: Genesis },
): Promise<OpenedDatabase> {
  const bundle = await loadBundle(directory)
  const server = await reachServer(bundle)
  try {
    const snapshot = await DatabaseSnapshot.open(server.url)
    const close = async () => {
      await snapshot.close()
      await server.release()
    }
    if (snapshot.genesisDigest !== genesis.digest || snapshot.replica !== id) {
      await snapshot.close()
      throw new StoreError(
        'foreign',
        `${redactUrl(server.url)} holds the ledger of replica ${snapshot.replica} of ` +
          `${snapshot.genesisDigest === genesis.digest ? 'this' : 'another'} cluster, not of replica ${id}`,
      )
    }
    const dump = (directory: string) => dumpDatabase(server.url, directory)
    return { replica: id, url: redactUrl(server.url), snapshot, dump, close }
  } catch (error) {
    await server.release()
    throw error
  }
}

type Server = { readonly url: string; release(): Promise<void> }
const leave = async () => undefined

async function reachServer(bundle: Bundle): Promise<Server> {
  const { database } = bundle.own
  switch (database.kind) {
    case 'url':
      return { url: database.url, release: leave }
    case 'docker':
      return { url: urlOf(database), release: leave }
    case 'embedded':
      return reachEmbedded(bundle, database)
  }
}

const urlOf = ({ port, user, password }: { port: number; user: string; password: string }): string =>
  databaseUrl({ host: '127.0.0.1', port, user, password, database: 'postgres' })

/**
 * Whoever holds the vote log may start and stop the server: its replica, or, for as long as it is stopped, we. So a
 * replica that is started meanwhile is told why it can't, rather than losing its database.
 */
async function reachEmbedded(
  bundle: Bundle,
  database: DatabaseConfig & { readonly kind: 'embedded' },
): Promise<Server> {
  const lock = lockUnlessServing(bundle)
  if (lock === undefined) return { url: urlOf(database), release: leave }
  try {
    const { dataDirectory, port, user, password } = database
    const directory = dataDirectory ?? bundlePaths(bundle.directory).postgres
    const home = await findHome(directory)
    if (home === undefined || !(await isInitialised(home))) {
      throw new StoreError('foreign', `${directory} holds no database: the replica was never started`)
    }
    const server = await startEmbedded({ directory, port, user, password })
    if (server.wasRunning) {
      lock.release()
      return { url: server.url, release: leave }
    }
    const release = async () => {
      await server.stop()
      lock.release()
    }
    return { url: server.url, release }
  } catch (error) {
    lock.release()
    throw error
  }
}

function lockUnlessServing(bundle: Bundle): DirectoryLock | undefined {
  try {
    return DirectoryLock.take(bundlePaths(bundle.directory).votes)
  } catch (error) {
    if (error instanceof VoteLogError && error.code === 'locked') return undefined
    throw error
  }
}
