import { statfs } from 'node:fs/promises'
import type { CrashTarget } from '../../chaos/experiments/crashes.ts'
import { LiveCluster } from '../../chaos/live/live-cluster.ts'
import type { ClusterFiles } from '../../client/files.ts'
import type { Genesis } from '../../protocol/config.ts'
import { claimKeys } from '../client-key.ts'
import type { ExperimentOptions } from '../commands/experiment.ts'
import { accountsOf } from '../new-cluster.ts'
import type { Scope } from '../scope.ts'
import { makeTemporaryCluster, TMPFS_MAGIC } from '../temporary-cluster.ts'
import { makeTemporaryDirectory } from '../temporary-directory.ts'
import type { ExperimentFaults } from './fault-plan.ts'

/** The cluster of one run, which serves. */
export type Site = {
  readonly directory: string
  readonly genesis: Genesis
  readonly isInMemory: boolean
  readonly target: CrashTarget
  /** Of the client that is measured, and of whoever looks at the replicas. */
  readonly files: { readonly own: ClusterFiles; readonly observing: ClusterFiles }
  readonly faults: ((signal: AbortSignal) => Promise<void>) | undefined
}

export type SiteChoices = {
  readonly options: ExperimentOptions
  readonly checkpointInterval: number
  readonly keep: () => boolean
  readonly seed: number
  readonly faults: ExperimentFaults | undefined
}

/** Without a fault plan nothing stands between replicas, clients and databases. */
export const serve = (scope: Scope, choices: SiteChoices): Promise<Site> =>
  choices.faults === undefined ? servePlain(scope, choices) : serveFaulty(scope, choices, choices.faults)

async function servePlain(scope: Scope, { options, checkpointInterval, keep }: SiteChoices): Promise<Site> {
  const { cluster, directory, isInMemory } = await makeTemporaryCluster(scope, {
    ...options,
    name: 'experiment',
    checkpointInterval,
    archive: true,
    keep,
  })
  await cluster.start()
  const [own, observing] = await claimKeys(directory, 2)
  if (own === undefined || observing === undefined) throw new Error('two keys were asked for')
  scope.defer(() => own.release())
  scope.defer(() => observing.release())
  return {
    directory,
    genesis: cluster.genesis,
    isInMemory,
    target: {
      replicas: cluster.genesis.replicas.length,
      killReplica: (id) => cluster.killReplica(id),
      startReplica: (id) => cluster.startReplica(id),
    },
    files: { own: own.files, observing: observing.files },
    faults: undefined,
  }
}

async function serveFaulty(
  scope: Scope,
  { options, checkpointInterval, keep, seed }: SiteChoices,
  faults: ExperimentFaults,
): Promise<Site> {
  const { replicas, accounts, postgres } = options
  const made = await makeTemporaryDirectory(scope, { name: 'experiment', replicas, keeps: keep })
  const cluster = await LiveCluster.make(made.cluster, {
    replicas,
    accounts: accountsOf(accounts),
    clients: 2,
    checkpointInterval,
    seed,
    postgres,
    archive: true,
  })
  scope.defer(() => cluster.stop())
  await cluster.start()
  await made.noteHomes()
  return {
    directory: made.cluster,
    genesis: cluster.genesis,
    isInMemory: (await statfs(made.directory)).type === TMPFS_MAGIC,
    target: {
      replicas,
      killReplica: (id) => cluster.kill(id),
      startReplica: (id) => cluster.startReplica(id),
    },
    files: { own: await cluster.clientFiles(0), observing: await cluster.clientFiles(1) },
    faults: (signal) => faults(cluster, seed, signal),
  }
}
