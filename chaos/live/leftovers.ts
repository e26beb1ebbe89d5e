import { access, rm } from 'node:fs/promises'
import { findHome } from '../../db/provision/data-directory.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { bundlePaths } from '../../replica/runtime/bundle.ts'
import { endProcessesOf, processesOf, type RunProcess } from './run-processes.ts'
import { type Registration, RunRegistry, type TemporaryRun } from './run-registry.ts'
import { removeDatabasesOf } from './temporary-databases.ts'

/** What a command that was killed left on this machine. */
export type Leftover = {
  readonly run: TemporaryRun
  readonly processes: readonly RunProcess[]
  /** Files that exist: the run's directory, and those of servers that had to be elsewhere. */
  readonly paths: readonly string[]
}

export type CleanedRun = Leftover & {
  /** Containers, and databases on servers of the user's. */
  readonly removedDatabases: readonly string[]
  /** What could not be removed, and why. Empty: nothing is left, and the registry has forgotten the run. */
  readonly remains: readonly string[]
}

/** Changes nothing. */
export async function findLeftovers(registry: RunRegistry = new RunRegistry()): Promise<Leftover[]> {
  const abandoned = await registry.takeAbandoned()
  try {
    return await Promise.all(abandoned.map(({ run }) => leftoverOf(run)))
  } finally {
    for (const registration of abandoned) registration.release()
  }
}

/**
 * Ends the processes of runs whose owner is gone, and removes their files. A run whose owner lives is not touched.
 * Interrupted, it can be called again: the registry forgets a run last.
 */
export async function cleanLeftovers(registry: RunRegistry = new RunRegistry()): Promise<CleanedRun[]> {
  const cleaned: CleanedRun[] = []
  for (const registration of await registry.takeAbandoned()) {
    cleaned.push(await cleanOne(registration))
  }
  return cleaned
}

async function leftoverOf(run: TemporaryRun): Promise<Leftover> {
  const paths = [run.directory, ...(await homesElsewhere(run))]
  const present = await Promise.all(paths.map(exists))
  return { run, processes: await processesOf(run), paths: paths.filter((_, i) => present[i]) }
}

async function cleanOne(registration: Registration): Promise<CleanedRun> {
  const { run } = registration
  const remains: string[] = []
  const attempt = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      remains.push(error instanceof Error ? error.message : String(error))
      return otherwise
    }
  }
  const leftover = await leftoverOf(run)
  // Known before the files go that name them.
  await attempt(
    () => registration.noteHomes(leftover.paths.filter((path) => path !== run.directory)),
    undefined,
  )
  const stubborn = await attempt(() => endProcessesOf(registration.run), [])
  remains.push(...stubborn.map(({ kind, pid }) => `process ${pid} (${kind}) does not end`))
  const removedDatabases = run.keepsFiles ? [] : await attempt(() => removeDatabasesOf(run), [])
  // Beside processes that run on, files stay: they name what is left.
  if (remains.length === 0 && !run.keepsFiles) {
    for (const path of leftover.paths.toReversed()) {
      await attempt(() => rm(path, { recursive: true, force: true, maxRetries: 3 }), undefined)
    }
  }
  if (remains.length === 0) await registration.close()
  else registration.release()
  return { ...leftover, removedDatabases, remains }
}

/** Whether a run left no process: what remains of it then is files, which removing its directory removes. */
export const leavesNoProcess = async (run: TemporaryRun): Promise<boolean> =>
  (await processesOf(run)).length === 0

/** Where servers of the run have their files, if not in its directory; the bundles say so while they exist. */
export async function homesElsewhere(run: TemporaryRun): Promise<string[]> {
  const found = await Promise.all(
    Array.from({ length: run.replicas }, async (_, id) => {
      // Of files that are lost there is nothing to remove.
      return findHome(bundlePaths(bundleOf(run.cluster, id)).postgres).catch(() => undefined)
    }),
  )
  const homes = found.flatMap((home) => (home === undefined ? [] : [home.path]))
  return [...new Set([...run.homes, ...homes.filter((path) => !path.startsWith(`${run.directory}/`))])]
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
