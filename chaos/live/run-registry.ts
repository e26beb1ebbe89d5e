import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { DirectoryLock } from '../../replica/runtime/vote-log/directory-lock.ts'
import { VoteLogError } from '../../replica/runtime/vote-log/vote-log-error.ts'

const RUN_FILE = 'run.json'
/** An entry without a description is one that is being made, or crumbs of one whose maker was killed in between. */
const CRUMBS_AGE_MS = 60_000

const runSchema = v.strictObject({
  version: v.literal(1),
  /** For people: what they typed. */
  command: v.string(),
  /** For people: whether the owner lives is the lock's to say. */
  pid: v.number(),
  startedAtMs: v.number(),
  /** Made for this run alone. Absolute, without symbolic links, as processes' command lines have it. */
  directory: v.string(),
  /** The cluster's own, `directory` or below it. */
  cluster: v.string(),
  replicas: v.number(),
  /** The user wants its files even when it did not end well; processes and servers are left all the same. */
  keepsFiles: v.boolean(),
  /** Files of database servers that had to be elsewhere than in `directory`. */
  homes: v.array(v.string()),
})
export type TemporaryRun = v.InferOutput<typeof runSchema>

/** What a run says of itself before it starts anything. */
export type RunAnnouncement = Pick<
  TemporaryRun,
  'command' | 'directory' | 'cluster' | 'replicas' | 'keepsFiles'
>

/** The user's own place for it cannot be used. Says why, and what to do. */
export class RegistryError extends Error {
  override name = 'RegistryError'
}

/** One user's, on one machine. */
export const registryDirectory = (): string => join(tmpdir(), `pbft-ledger-${userInfo().uid}`)

/**
 * The temporary clusters that commands of this user run now, or left when they were killed. An entry is a directory
 * with a description and a lock, which is the kernel's: it ends with its owner, and a pid need not be trusted.
 */
export class RunRegistry {
  readonly directory: string

  constructor(directory: string = registryDirectory()) {
    this.directory = directory
  }

  /** Before anything of the run exists: what is not announced, nobody can clean up. @throws RegistryError */
  async announce(run: RunAnnouncement): Promise<Registration> {
    await this.#requireOwn()
    const entry = join(this.directory, `${process.pid}-${randomBytes(4).toString('hex')}`)
    await mkdir(entry, { mode: 0o700 })
    const lock = DirectoryLock.take(entry)
    const described: TemporaryRun = {
      version: 1,
      pid: process.pid,
      startedAtMs: Date.now(),
      homes: [],
      ...run,
    }
    await writeRun(entry, described)
    return new Registration(entry, described, lock)
  }

  /** Runs whose owner is gone, oldest first; each is taken, so that nobody else cleans it up: release what you leave. */
  async takeAbandoned(): Promise<Registration[]> {
    const found: Registration[] = []
    for (const entry of await this.#entries()) {
      const run = await readRun(entry)
      if (run === undefined) {
        await removeCrumbs(entry)
        continue
      }
      const lock = lockUnlessOwned(entry)
      if (lock !== undefined) found.push(new Registration(entry, run, lock))
    }
    return found.sort((a, b) => a.run.startedAtMs - b.run.startedAtMs)
  }

  async #entries(): Promise<string[]> {
    const names = await readdir(this.directory).catch(() => [])
    if (names.length > 0) await this.#requireOwn()
    return names.map((name) => join(this.directory, name))
  }

  /** Whoever can write there decides what `pbft clean` deletes: in a shared directory that must be nobody else. */
  async #requireOwn(): Promise<void> {
    await mkdir(this.directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw new RegistryError(`${this.directory}: ${error.message}`)
    })
    const found = await lstat(this.directory)
    const isOwn = found.isDirectory() && found.uid === userInfo().uid
    if (isOwn && (found.mode & 0o022) !== 0) await chmod(this.directory, 0o700)
    if (isOwn) return
    throw new RegistryError(
      `${this.directory}: belongs to another user, or is no directory. Remove it, or let TMPDIR name another directory.`,
    )
  }
}

/** One run in the registry, held by whoever runs it, or cleans up after it. */
export class Registration {
  readonly entry: string
  #run: TemporaryRun
  readonly #lock: DirectoryLock

  constructor(entry: string, run: TemporaryRun, lock: DirectoryLock) {
    this.entry = entry
    this.#run = run
    this.#lock = lock
  }

  get run(): TemporaryRun {
    return this.#run
  }

  /** Where servers have their files, once that is known: nothing says so any more when the run's directory is lost. */
  async noteHomes(homes: readonly string[]): Promise<void> {
    this.#run = { ...this.#run, homes: [...homes] }
    await writeRun(this.entry, this.#run)
  }

  /** Nothing of the run is left. */
  async close(): Promise<void> {
    // The description first: an entry without one is never cleaned up after.
    await rm(join(this.entry, RUN_FILE), { force: true })
    this.#lock.release()
    await rm(this.entry, { recursive: true, force: true })
  }

  /** Something is left, and somebody else may see to it. */
  release(): void {
    this.#lock.release()
  }
}

async function writeRun(entry: string, run: TemporaryRun): Promise<void> {
  const file = join(entry, RUN_FILE)
  await writeFile(`${file}.new`, `${JSON.stringify(run)}\n`, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

async function readRun(entry: string): Promise<TemporaryRun | undefined> {
  const text = await readFile(join(entry, RUN_FILE), 'utf8').catch(() => '')
  try {
    return v.parse(runSchema, JSON.parse(text))
  } catch {
    return undefined
  }
}

async function removeCrumbs(entry: string): Promise<void> {
  const changedMs = await stat(entry).then(
    ({ mtimeMs }) => mtimeMs,
    () => Number.POSITIVE_INFINITY,
  )
  if (Date.now() - changedMs < CRUMBS_AGE_MS) return
  const lock = lockUnlessOwned(entry)
  if (lock === undefined) return
  lock.release()
  await rm(entry, { recursive: true, force: true })
}

function lockUnlessOwned(entry: string): DirectoryLock | undefined {
  try {
    return DirectoryLock.take(entry)
  } catch (error) {
    if (error instanceof VoteLogError) return undefined
    throw error
  }
}
