import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Binaries, usableBinaries } from './binaries.ts'
import {
  findHome,
  type Home,
  initialise,
  isInitialised,
  makeLogDirectory,
  openHome,
  removeHome,
} from './data-directory.ts'
import {
  findPostmaster,
  type Postmaster,
  removeStalePidFile,
  stopPostmaster,
  waitUntilGone,
  waitUntilStarted,
} from './postmaster.ts'
import { type ServerUser, serverUser, spawnAs } from './server-user.ts'
import { serverFlags } from './settings.ts'
import { ProvisionError, type RunningDatabase } from './types.ts'
import { databaseUrl, probe } from './url.ts'

/** Recovery after a crash replays up to `max_wal_size` before the server is ready. */
const READY_TIMEOUT_MS = 300_000
/** An immediate shutdown gives its processes 5 s before it kills them. */
const ENDING_TIMEOUT_MS = 10_000
/**
 * What a new server says while processes of one that was killed still run their last statement. They end by
 * themselves then; to start beside them would ruin the data.
 */
const ORPHANS = /pre-existing shared memory block/
const LAUNCHES_MAX = 100
const RELAUNCH_DELAY_MS = 100
const HOST = '127.0.0.1'
const DATABASE = 'postgres'

export type EmbeddedOptions = {
  /** The server's own: data, log, and nothing else. */
  readonly directory: string
  readonly port: number
  /** Superuser, made when the directory is first used; the password can't be changed by giving another one later. */
  readonly user: string
  readonly password: string
  /** A line for a person at each step that may take a while. */
  readonly onProgress?: (line: string) => void
}

export type EmbeddedDatabase = RunningDatabase & {
  readonly pid: number
  /** The server outlived the process that started it, and was taken over. */
  readonly wasRunning: boolean
}

/**
 * Starts a Postgres server on this machine, or takes over the one that runs on the directory. It listens on loopback
 * alone, and it outlives this process: only `stop` and `stopEmbedded` end it, so that a replica killed with SIGKILL
 * finds its database as it was.
 * @throws ProvisionError
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  if (process.platform === 'win32') {
    throw new ProvisionError(
      'unsupported',
      'embedded Postgres needs Linux or macOS; use --postgres docker or a database URL',
    )
  }
  const user = await serverUser()
  const home = await openHome(options.directory, user)
  return (await adopt(home, options)) ?? (await start({ home, user, options }))
}

async function adopt(home: Home, options: EmbeddedOptions): Promise<EmbeddedDatabase | undefined> {
  const running = await findPostmaster(home.data)
  if (running === undefined) return undefined
  const { pid } = running
  const postmaster = await waitUntilStarted(pid, { data: home.data, timeoutMs: READY_TIMEOUT_MS })
  // It is ours by its directory; one that is on its way out, or on a port that is no longer the one, begins anew.
  if (postmaster?.status !== 'ready' || postmaster.port !== options.port) {
    await stopPostmaster(pid, home.data)
    return undefined
  }
  try {
    return await opened({ home, postmaster, options, wasRunning: true })
  } catch (error) {
    // A server that was told to quit, or loses a process, says nothing in its file: it answers no more, and ends.
    const ended =
      isUnreachable(error) && (await waitUntilGone(pid, { data: home.data, timeoutMs: ENDING_TIMEOUT_MS }))
    if (ended) return undefined
    throw error
  }
}

const isUnreachable = (error: unknown): boolean =>
  error instanceof ProvisionError && error.code === 'unreachable'

async function start(args: {
  readonly home: Home
  readonly user: ServerUser
  readonly options: EmbeddedOptions
}): Promise<EmbeddedDatabase> {
  const { home, user, options } = args
  if (!(await isPortFree(options.port))) return (await adopt(home, options)) ?? refusePort(options.port)
  const binaries = await usableBinaries(user)
  await makeLogDirectory(home, user)
  if (!(await isInitialised(home))) {
    options.onProgress?.(`making a database in ${home.path}`)
    await initialise({ home, binaries, user, role: options.user, password: options.password })
  }
  options.onProgress?.(`starting Postgres on port ${options.port}`)
  const server = { home, binaries, user, port: options.port }
  let outcome = await launch(server)
  for (let tries = 1; typeof outcome === 'string' && ORPHANS.test(outcome) && tries < LAUNCHES_MAX; tries++) {
    await delay(RELAUNCH_DELAY_MS)
    outcome = await launch(server)
  }
  if (typeof outcome !== 'string') {
    try {
      return await opened({ home, postmaster: outcome, options, wasRunning: false })
    } catch (error) {
      await stopPostmaster(outcome.pid, home.data)
      throw error
    }
  }
  // Two started the same directory at once, and the other one won.
  const winner = await adopt(home, options)
  if (winner !== undefined) return winner
  throw new ProvisionError(
    'failed',
    `Postgres on port ${options.port} did not start: ${outcome} (log: ${home.log})`,
  )
}

type Server = {
  readonly home: Home
  readonly binaries: Binaries
  readonly user: ServerUser
  readonly port: number
}

/** @returns the server when it is ready, or its last words */
async function launch(server: Server): Promise<Postmaster | string> {
  const { data } = server.home
  await removeStalePidFile(data)
  const since = logTime()
  const pid = await spawnServer(server)
  const postmaster = await waitUntilStarted(pid, { data, timeoutMs: READY_TIMEOUT_MS })
  if (postmaster !== undefined) return postmaster
  await stopPostmaster(pid, data)
  return lastWords(server.home, since)
}

async function opened(args: {
  readonly home: Home
  readonly postmaster: Postmaster
  readonly options: EmbeddedOptions
  readonly wasRunning: boolean
}): Promise<EmbeddedDatabase> {
  const { home, postmaster, wasRunning } = args
  const { port, user, password } = args.options
  const url = databaseUrl({ host: HOST, port, user, password, database: DATABASE })
  await probe(url)
  const stop = () => stopPostmaster(postmaster.pid, home.data)
  return { url, pid: postmaster.pid, wasRunning, stop }
}

async function isPortFree(port: number): Promise<boolean> {
  const listener = createServer()
  const { promise, resolve } = Promise.withResolvers<boolean>()
  listener.once('error', () => resolve(false))
  listener.listen({ host: HOST, port }, () => listener.close(() => resolve(true)))
  return promise
}

function refusePort(port: number): never {
  throw new ProvisionError(
    'port-in-use',
    `port ${port} on ${HOST} is taken by another program; stop that, or set another database.port in this ` +
      "replica's private.json",
  )
}

async function spawnServer(args: Server): Promise<number> {
  const { home } = args
  const flags = serverFlags({
    port: String(args.port),
    listen_addresses: HOST,
    // A socket in a shared directory would be a second way in, and its path has a length limit.
    unix_socket_directories: '',
    // A file per weekday, each begun anew a week later: bounded without anyone's help.
    logging_collector: 'on',
    log_directory: home.log,
    log_filename: 'postgres-%a.log',
    log_rotation_age: '1d',
    log_rotation_size: '0',
    log_truncate_on_rotation: 'on',
  })
  const startLog = await open(join(home.log, 'start.log'), 'w', 0o600)
  try {
    // A session of its own: a signal to this process's group, or its death, is none of the server's business.
    const server = spawn(args.binaries.postgres, ['-D', home.data, ...flags], {
      ...spawnAs(args.user),
      detached: true,
      stdio: ['ignore', startLog.fd, startLog.fd],
    })
    await once(server, 'spawn')
    server.unref()
    return server.pid ?? Number.NaN
  } catch (cause) {
    throw new ProvisionError('unsupported', `could not run ${args.binaries.postgres}`, { cause })
  } finally {
    await startLog.close()
  }
}

/** Lines start with their time in UTC, so that they compare as text. */
const logTime = (): string => new Date().toISOString().replace('T', ' ').slice(0, 23)

/** Why the server ended, as it said before or after its log collector took over. */
async function lastWords(home: Home, since: string): Promise<string> {
  const lines: string[] = []
  for (const name of await readdir(home.log)) {
    const text = await readFile(join(home.log, name), 'utf8')
    lines.push(
      ...text.split('\n').filter((line) => line >= since && / (FATAL|PANIC|DETAIL|HINT): /.test(line)),
    )
  }
  return lines.slice(-3).join(' ') || 'it wrote no reason'
}

/** Stops the server that runs on `directory`, if one does. @returns whether one did */
export async function stopEmbedded(directory: string): Promise<boolean> {
  const home = await findHome(directory)
  const running = home === undefined ? undefined : await findPostmaster(home.data)
  if (home === undefined || running === undefined) return false
  await stopPostmaster(running.pid, home.data)
  return true
}

/** Stops the server and deletes its files, which may be elsewhere than in `directory`. */
export async function removeEmbedded(directory: string): Promise<void> {
  await stopEmbedded(directory)
  await removeHome(directory)
}
