import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { DirectoryLock } from '../runtime/vote-log/directory-lock.ts'
import { VoteLogError } from '../runtime/vote-log/vote-log-error.ts'
import { bundleOf, clusterPaths } from './layout.ts'
import { endServing, servesBundle, servingPid } from './process-identity.ts'

const ORPHAN_PATIENCE_MS = 20_000

const upSchema = v.object({ replicas: v.array(v.object({ id: v.number(), pid: v.number() })) })

/** Two processes want to run the same cluster, or one replica of it. Says which, and what to do. */
export class AlreadyRunningError extends Error {
  override name = 'AlreadyRunningError'
}

/**
 * Who runs a cluster directory. The lock is the kernel's and ends with its process; the file beside it names the
 * replica processes that it started, so that the next one can end what a killed one left.
 */
export class ClusterClaim {
  readonly #directory: string
  readonly #lock: DirectoryLock
  readonly #started = new Map<number, number>()

  private constructor(directory: string, lock: DirectoryLock) {
    this.#directory = directory
    this.#lock = lock
  }

  /** @throws AlreadyRunningError while another process runs this cluster */
  static take(directory: string): ClusterClaim {
    try {
      return new ClusterClaim(directory, DirectoryLock.take(directory))
    } catch (error) {
      if (!(error instanceof VoteLogError) || error.code !== 'locked') throw error
      throw new AlreadyRunningError(
        `${directory}: another \`pbft up\` runs this cluster. Use it from here (pbft client --cluster ${directory}), ` +
          'stop it with Ctrl-C where it runs, or choose another --dir.',
        { cause: error },
      )
    }
  }

  /**
   * Stops the replicas that an earlier holder started and was killed before it could stop.
   * @returns the ids of those that were still running
   * @throws AlreadyRunningError when a replica runs that somebody else started
   */
  async endOrphans(ids: readonly number[]): Promise<number[]> {
    const known = new Map((await this.#read()).map(({ id, pid }) => [id, pid]))
    const orphans: { id: number; pid: number }[] = []
    for (const id of ids) {
      const bundle = bundleOf(this.#directory, id)
      const left = known.get(id)
      if (left !== undefined && (await servesBundle(left, bundle))) {
        orphans.push({ id, pid: left })
        continue
      }
      const other = await servingPid(bundle)
      if (other !== undefined) {
        throw new AlreadyRunningError(
          `${bundle}: replica ${id} already runs, as process ${other}. Stop that first: kill ${other}`,
        )
      }
    }
    await Promise.all(
      orphans.map(({ id, pid }) => endServing(pid, bundleOf(this.#directory, id), ORPHAN_PATIENCE_MS)),
    )
    return orphans.map(({ id }) => id)
  }

  /** At once, so that replicas that start side by side don't overwrite each other's entry. */
  started(id: number, pid: number): void {
    this.#started.set(id, pid)
    const replicas = [...this.#started].map(([id, pid]) => ({ id, pid }))
    writeFileSync(clusterPaths(this.#directory).up, `${JSON.stringify({ replicas })}\n`)
  }

  release(): void {
    this.#lock.release()
  }

  /** A file that was torn by a crash says nothing; pid files are left to tell. */
  async #read(): Promise<readonly { readonly id: number; readonly pid: number }[]> {
    const text = await readFile(clusterPaths(this.#directory).up, 'utf8').catch(() => '')
    try {
      return v.parse(upSchema, JSON.parse(text)).replicas
    } catch {
      return []
    }
  }
}
