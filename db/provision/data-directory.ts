import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Binaries } from './binaries.ts'
import { exists, makePublicDirectory, syncPath } from './files.ts'
import { isRunning } from './postmaster.ts'
import { mayExecute, type ServerUser, spawnAs } from './server-user.ts'
import { ProvisionError } from './types.ts'

const run = promisify(execFile)

/**
 * Where one server's files are: `data` is the server's own (PGDATA), `log` what it and its start wrote. Usually both
 * are below the directory that was asked for.
 */
export type Home = { readonly path: string; readonly data: string; readonly log: string }

/** In the directory that was asked for: one line, the path where the files are instead. */
const LOCATION_FILE = 'location'
/** Survive a reboot, unlike a temporary directory. Tried in this order. */
const RELOCATION_PLACES = ['/var/lib/pbft-ledger', '/var/tmp/pbft-ledger']
const STAGING_PREFIX = 'initialising-'

const homeAt = (path: string): Home => ({ path, data: join(path, 'data'), log: join(path, 'log') })

/** The home that an earlier start chose, if there was one. @throws ProvisionError 'files-lost' */
export async function findHome(directory: string): Promise<Home | undefined> {
  if (!(await exists(directory))) return undefined
  const asked = await realpath(directory)
  const file = join(asked, LOCATION_FILE)
  const location = await readFile(file, 'utf8').catch(() => '')
  if (location === '') return (await exists(join(asked, 'data'))) ? homeAt(asked) : undefined
  const path = location.trim()
  if (await exists(path)) return homeAt(path)
  throw new ProvisionError(
    'files-lost',
    `${file} says that the database's files are in ${path}, where there is nothing. Put them back, or delete ` +
      `${file} to begin with an empty database`,
  )
}

/**
 * The home of the server of `directory`, made if it doesn't exist. Where the server's user can't enter `directory`
 * (as root, below a home that only root may enter), the files go elsewhere; `directory` remembers where.
 */
export async function openHome(directory: string, user: ServerUser): Promise<Home> {
  await mkdir(directory, { recursive: true })
  const asked = await realpath(directory)
  const found = await findHome(asked)
  if (found !== undefined) {
    if (await mayExecute(user, found.path)) return found
    throw new ProvisionError(
      'files-lost',
      `the user that Postgres runs as (uid ${user?.uid ?? process.getuid?.()}) may not enter ${found.path}. ` +
        'Let it enter every directory above (chmod o+x), or move the directory to where it may',
    )
  }
  if (await mayExecute(user, asked)) return homeAt(asked)
  return homeAt(await relocate(asked, user))
}

async function relocate(asked: string, user: ServerUser): Promise<string> {
  for (const place of RELOCATION_PLACES) {
    try {
      await makePublicDirectory(place)
    } catch {
      continue
    }
    if (!(await mayExecute(user, place))) continue
    const name = `${basename(dirname(asked))}-${basename(asked)}-${randomBytes(4).toString('hex')}`
    const path = join(place, name)
    await makePublicDirectory(path)
    await writeDurably(join(asked, LOCATION_FILE), `${path}\n`)
    return path
  }
  throw new ProvisionError(
    'unsupported',
    `the user that Postgres runs as (uid ${user?.uid}) may not enter ${asked}, and none of ` +
      `${RELOCATION_PLACES.join(', ')} can be used instead. Choose a directory that everyone may enter`,
  )
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o644)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${file}.new`, file)
  await syncPath(dirname(file))
}

export const isInitialised = (home: Home): Promise<boolean> => exists(join(home.data, 'PG_VERSION'))

/**
 * initdb, in a directory that is renamed when it is complete and on disk: a start that was killed half-way leaves
 * nothing that looks like a database, and of two at once one wins and the other uses its result.
 * @throws ProvisionError 'failed' with initdb's last words
 */
export async function initialise(args: {
  readonly home: Home
  readonly binaries: Binaries
  readonly user: ServerUser
  readonly role: string
  readonly password: string
}): Promise<void> {
  const { home, user } = args
  await removeAbandonedStaging(home)
  const staging = await mkdtemp(join(home.path, `${STAGING_PREFIX}${process.pid}-`))
  try {
    await giveTo(user, staging)
    const data = join(staging, 'data')
    const passwordFile = join(staging, 'password')
    await writePassword(passwordFile, args.password)
    await giveTo(user, passwordFile)
    await run(args.binaries.initdb, initdbFlags({ data, passwordFile, role: args.role }), spawnAs(user))
    await rename(data, home.data)
    await syncPath(home.path)
  } catch (cause) {
    if (await isInitialised(home)) return
    throw new ProvisionError(
      'failed',
      `initdb could not make a database in ${home.path}: ${lastWords(cause)}`,
      {
        cause,
      },
    )
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Checksums, which are initdb's default, let the scrub and a person tell a bad disk from a bad replica [CP6]. */
const initdbFlags = (args: { data: string; passwordFile: string; role: string }): string[] => [
  ...['--pgdata', args.data, '--username', args.role, '--pwfile', args.passwordFile],
  ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--no-locale', '--no-instructions'],
]

async function writePassword(file: string, password: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(`${password}\n`)
  } finally {
    await handle.close()
  }
}

/** Only whom the server runs as may look inside. */
export async function giveTo(user: ServerUser, path: string): Promise<void> {
  if (user !== undefined) await chown(path, user.uid, user.gid)
}

export async function makeLogDirectory(home: Home, user: ServerUser): Promise<void> {
  await mkdir(home.log, { recursive: true })
  await chmod(home.log, 0o700)
  await giveTo(user, home.log)
}

async function removeAbandonedStaging(home: Home): Promise<void> {
  for (const name of await readdir(home.path)) {
    if (!name.startsWith(STAGING_PREFIX)) continue
    const pid = Number.parseInt(name.slice(STAGING_PREFIX.length), 10)
    if (!isRunning(pid)) await rm(join(home.path, name), { recursive: true, force: true })
  }
}

function lastWords(cause: unknown): string {
  if (
    cause instanceof Error &&
    'stderr' in cause &&
    typeof cause.stderr === 'string' &&
    cause.stderr !== ''
  ) {
    return cause.stderr.trim().split('\n').slice(-3).join(' ')
  }
  return cause instanceof Error ? cause.message : String(cause)
}

/** Deletes the files of a stopped server, wherever they are, and `directory` with them. */
export async function removeHome(directory: string): Promise<void> {
  const home = await findHome(directory)
  if (home !== undefined) await rm(home.path, { recursive: true, force: true })
  await rm(directory, { recursive: true, force: true })
}
