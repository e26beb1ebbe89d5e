import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClusterFiles, loadClusterFiles } from '../client/files.ts'
import { DirectoryLock } from '../replica/runtime/vote-log/directory-lock.ts'
import { VoteLogError } from '../replica/runtime/vote-log/vote-log-error.ts'
import { UsageError } from './failure.ts'

const KEY_FILE = /^client(?:-(\d+))?\.json$/

export type ClaimedKey = { readonly files: ClusterFiles; release(): void }

/**
 * A client key of the cluster that no other command on this machine uses now. A replica keeps one session per
 * identity: two programs with the same key would take it from each other all the time.
 * @throws ConfigError @throws UsageError when all are in use
 */
export async function claimKey(directory: string): Promise<ClaimedKey> {
  const [claimed] = await claimKeys(directory, 1)
  if (claimed === undefined) throw new Error('one key was asked for')
  return claimed
}

/** @throws ConfigError @throws UsageError when there are not so many that are free */
export async function claimKeys(directory: string, count: number): Promise<ClaimedKey[]> {
  const names = await keyFilesIn(directory)
  if (names.length === 0) {
    // Says what is wrong with the directory, which has no key of its own.
    await loadClusterFiles(directory)
  }
  const claimed: ClaimedKey[] = []
  try {
    for (const name of names) {
      if (claimed.length === count) break
      const release = await claim(join(directory, '.keys-in-use', name))
      if (release === undefined) continue
      claimed.push({ files: await loadClusterFiles(directory, join(directory, name)), release })
    }
  } finally {
    if (claimed.length < count) for (const key of claimed) key.release()
  }
  if (claimed.length === count) return claimed
  throw new UsageError(
    `${directory}: ${count} of its ${names.length} client keys are wanted, and only ${claimed.length} are not in ` +
      'use. Stop another command that uses this cluster.',
  )
}

async function keyFilesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  const order = (name: string) => Number(KEY_FILE.exec(name)?.[1] ?? 1)
  return names.filter((name) => KEY_FILE.test(name)).sort((a, b) => order(a) - order(b))
}

/** Undefined while another process has it. The lock ends with this process, however that ends. */
async function claim(directory: string): Promise<(() => void) | undefined> {
  try {
    await mkdir(directory, { recursive: true })
    const lock = DirectoryLock.take(directory)
    return () => lock.release()
  } catch (error) {
    if (error instanceof VoteLogError && error.code === 'locked') return undefined
    // A copy of the files that this user can't write to: nothing to lock with, and nobody to meet.
    return () => undefined
  }
}
