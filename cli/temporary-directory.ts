import { randomBytes } from 'node:crypto'
import { chmod, mkdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { homesElsewhere } from '../chaos/live/leftovers.ts'
import { processesOf } from '../chaos/live/run-processes.ts'
import { type Registration, RunRegistry, type TemporaryRun } from '../chaos/live/run-registry.ts'
import { removeDatabasesOf } from '../chaos/live/temporary-databases.ts'
import { commandLine } from './invocation.ts'
import type { Scope } from './scope.ts'
import { listed } from './words.ts'

/** What an interrupted work may still take once its cluster is stopped. */
const WORK_MS_MAX = 15_000

export type TemporaryDirectory = {
  readonly directory: string
  /** Where the run's cluster has to be made, for `pbft clean` to find it. */
  readonly cluster: string
  /** To be called when servers have started: where their files are, if not below `directory`. */
  readonly noteHomes: () => Promise<void>
}

/**
 * A directory for files alone, announced like a cluster's. Removed at the end of the scope even under work that still
 * reads there: a check of millions of rows is not to be waited for.
 */
export async function makeScratchDirectory(scope: Scope, name: string): Promise<string> {
  const registration = await announce({ name, replicas: 0, keepsFiles: false })
  const { directory } = registration.run
  scope.defer(async () => {
    await rm(directory, { recursive: true, force: true })
    await registration.close()
  })
  await mkdir(directory)
  return directory
}

/**
 * A directory for one cluster, announced in the registry before it exists: when this process is killed, the next
 * command names what is left, and `pbft clean` removes it. At the end of the scope it is removed, with what the
 * cluster has elsewhere; by then whoever started processes has ended them, and the work writes no more files.
 * @param choices.keeps asked at the end: the files stay
 */
export async function makeTemporaryDirectory(
  scope: Scope,
  choices: { readonly name: string; readonly replicas: number; readonly keeps: () => boolean },
): Promise<TemporaryDirectory> {
  const { name, replicas, keeps } = choices
  const registration = await announce({ name, replicas, keepsFiles: keeps() })
  const { directory, cluster } = registration.run
  let noting = Promise.resolve()
  scope.defer(async () => {
    const isDone = await endsWithin(scope.worked, WORK_MS_MAX)
    await noting
    await end(registration, { keeps: keeps(), isDone })
  })
  await mkdir(directory)
  // As root, Postgres runs as another user, who has to get to its files.
  await chmod(directory, 0o755)
  const noteHomes = () => {
    noting = noting.then(() => note(registration))
    return noting
  }
  return { directory, cluster, noteHomes }
}

/** The timer keeps the process alive: work that hangs on nothing would else let it end before it has cleaned up. */
async function endsWithin(work: Promise<void>, ms: number): Promise<boolean> {
  const timer = new AbortController()
  const tooLate = delay(ms, false, { signal: timer.signal })
  // Cut short when the work has ended, which is no failure.
  tooLate.catch(() => undefined)
  try {
    return await Promise.race([work.then(() => true), tooLate])
  } finally {
    timer.abort()
  }
}

async function announce(
  choices: Pick<TemporaryRun, 'replicas' | 'keepsFiles'> & { readonly name: string },
): Promise<Registration> {
  const { name, replicas, keepsFiles } = choices
  const directory = join(await realpath(tmpdir()), `pbft-${name}-${randomBytes(6).toString('hex')}`)
  const cluster = join(directory, 'cluster')
  return new RunRegistry().announce({ command: commandLine(), directory, cluster, replicas, keepsFiles })
}

async function note(registration: Registration): Promise<void> {
  const homes = await homesElsewhere(registration.run)
  if (homes.length > registration.run.homes.length) await registration.noteHomes(homes)
}

async function end(
  registration: Registration,
  { keeps, isDone }: { readonly keeps: boolean; readonly isDone: boolean },
): Promise<void> {
  const { run } = registration
  const left = await processesOf(run)
  if (left.length > 0) {
    registration.release()
    const pids = listed(left.map(({ pid }) => pid))
    throw new Error(
      `${run.directory}: processes ${pids} of this run have not ended; \`pbft clean\` ends and removes them`,
    )
  }
  if (!isDone && !keeps) {
    registration.release()
    throw new Error(`${run.directory}: this command still uses it; \`pbft clean\` removes it`)
  }
  if (!keeps) {
    const homes = await homesElsewhere(run)
    await removeDatabasesOf(run)
    for (const path of [...homes, run.directory]) await rm(path, { recursive: true, force: true })
  }
  await registration.close()
}
