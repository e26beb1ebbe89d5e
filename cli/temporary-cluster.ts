import { chmod, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeEmbedded } from '../db/provision/embedded.ts'
import { bundleOf } from '../replica/local-cluster/layout.ts'
import { LocalCluster, type LocalClusterEvent } from '../replica/local-cluster.ts'
import { bundlePaths } from '../replica/runtime/bundle.ts'
import { makeCluster } from './new-cluster.ts'
import type { Scope } from './scope.ts'

const TMPFS_MAGIC = 0x01021994

export type TemporaryCluster = {
  readonly directory: string
  readonly cluster: LocalCluster
  /** Its files are in memory, where fsync costs nothing. */
  readonly isInMemory: boolean
}

/** A new cluster with embedded databases that is stopped, and removed unless `keep`, when the scope ends. */
export async function makeTemporaryCluster(
  scope: Scope,
  choices: {
    readonly name: string
    readonly replicas: number
    readonly accounts?: number
    readonly keep?: boolean
    readonly onEvent?: (event: LocalClusterEvent) => void
  },
): Promise<TemporaryCluster> {
  const { name, replicas, accounts, keep = false } = choices
  const parent = await mkdtemp(join(tmpdir(), `pbft-${name}-`))
  if (!keep) scope.defer(() => rm(parent, { recursive: true, force: true }))
  // As root, Postgres runs as another user, who has to get to its files.
  await chmod(parent, 0o755)
  const directory = join(parent, 'cluster')
  await makeCluster(directory, { replicas, accounts, postgres: ['embedded'] })
  if (!keep) {
    scope.defer(() =>
      Promise.all(
        Array.from({ length: replicas }, (_, id) =>
          removeEmbedded(bundlePaths(bundleOf(directory, id)).postgres),
        ),
      ),
    )
  }
  const cluster = await LocalCluster.open(directory, choices.onEvent)
  scope.defer(() => cluster.stop())
  return { directory, cluster, isInMemory: (await statfs(parent)).type === TMPFS_MAGIC }
}
