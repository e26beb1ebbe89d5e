import { removeContainer } from '../../db/provision/container.ts'
import { dropTemporaryDatabase, isTemporaryDatabase } from '../../db/provision/temporary-database.ts'
import { redactUrl } from '../../db/provision/url.ts'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { loadBundle } from '../../replica/runtime/bundle.ts'
import type { TemporaryRun } from './run-registry.ts'

/**
 * Removes what a run keeps outside of this machine's files: its containers, and the databases that it made on servers
 * of the user's. Which those are stands in its bundles; without bundles there is nothing to go by.
 * @returns what was removed, for people
 * @throws ProvisionError when one cannot be removed
 */
export async function removeDatabasesOf(run: Pick<TemporaryRun, 'cluster' | 'replicas'>): Promise<string[]> {
  const removed: string[] = []
  for (let id = 0; id < run.replicas; id++) {
    const bundle = await loadBundle(bundleOf(run.cluster, id)).catch(() => undefined)
    const database = bundle?.own.database
    if (database?.kind === 'docker') {
      const container = await removeContainer(database)
      if (container !== undefined) removed.push(`container ${container}`)
    } else if (database?.kind === 'url' && isTemporaryDatabase(database.url)) {
      await dropTemporaryDatabase(database.url)
      removed.push(`database ${redactUrl(database.url)}`)
    }
  }
  return removed
}
