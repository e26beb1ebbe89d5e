import { statfs } from 'node:fs/promises'
import { createTemporaryDatabase, dropTemporaryDatabase } from '../db/provision/temporary-database.ts'
import { LocalCluster, type LocalClusterEvent } from '../replica/local-cluster.ts'
import { makeCluster } from './new-cluster.ts'
import type { Scope } from './scope.ts'
import { makeTemporaryDirectory } from './temporary-directory.ts'

/** What statfs calls a file system in memory. */
export const TMPFS_MAGIC = 0x01021994
const EMBEDDED: readonly string[] = ['embedded']

export type TemporaryCluster = {
  readonly directory: string
  readonly cluster: LocalCluster
  /** Its files are in memory, where fsync costs nothing. */
  readonly isInMemory: boolean
}

/** A new cluster that is stopped when the scope ends, and removed, with its databases, unless `keep` says otherwise. */
export async function makeTemporaryCluster(
  scope: Scope,
  choices: {
    readonly name: string
    readonly replicas: number
    readonly accounts?: number
    readonly checkpointInterval?: number
    /**
     * As of `init`; embedded when not given. On the server of each URL a new database is made, so that what is in the
     * user's own stays as it is.
     */
    readonly postgres?: readonly string[]
    readonly image?: string | undefined
    /** Its replicas may lie, and can be told to. */
    readonly allowByzantine?: boolean
    /** Segments that are cut off the vote logs are kept, so that a checker can replay all of them. */
    readonly archive?: boolean
    /** Asked at the end, where it is a function. */
    readonly keep?: boolean | (() => boolean)
    readonly onEvent?: (event: LocalClusterEvent) => void
  },
): Promise<TemporaryCluster> {
  const { name, replicas, accounts, checkpointInterval, image, allowByzantine, keep = false } = choices
  const keeps = typeof keep === 'function' ? keep : () => keep
  const made = await makeTemporaryDirectory(scope, { name, replicas, keeps })
  const postgres = await databasesOn(choices.postgres ?? EMBEDDED, { scope, keeps })
  await makeCluster(made.cluster, { replicas, accounts, checkpointInterval, postgres, image, allowByzantine })
  const onEvent = (event: LocalClusterEvent) => {
    if (event.kind === 'ready') void made.noteHomes()
    choices.onEvent?.(event)
  }
  const cluster = await LocalCluster.open(made.cluster, onEvent, {
    archive: choices.archive === true,
    control: allowByzantine === true,
  })
  scope.defer(() => cluster.stop())
  const isInMemory = (await statfs(made.directory)).type === TMPFS_MAGIC
  return { directory: made.cluster, cluster, isInMemory }
}

/** Servers are given by URL, the databases on them are new; the other ways make their own. */
async function databasesOn(
  postgres: readonly string[],
  { scope, keeps }: { readonly scope: Scope; readonly keeps: () => boolean },
): Promise<readonly string[]> {
  if (!postgres.every((how) => /^postgres(ql)?:/.test(how))) return postgres
  const made: string[] = []
  for (const server of postgres) {
    const database = await createTemporaryDatabase(server)
    made.push(database)
    // One that no bundle names yet, because the next one failed, has to go, too.
    scope.defer(() => (keeps() ? undefined : dropTemporaryDatabase(database)))
  }
  return made
}
