import { access, chmod, lstat, mkdir, open } from 'node:fs/promises'
import { ProvisionError } from './types.ts'

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

/** Waits until a file's bytes, or a directory's names, are on disk. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Refuses a directory that another user could have planted or may change: it must belong to root or to us, not be a
 * link, and be writable by its owner alone.
 * @throws ProvisionError 'unsupported'
 */
export async function requireOurs(directory: string): Promise<void> {
  const stat = await lstat(directory)
  const trusted = stat.uid === 0 || stat.uid === process.getuid?.()
  if (!stat.isDirectory() || !trusted || (stat.mode & 0o022) !== 0) {
    throw new ProvisionError('unsupported', `${directory} belongs to another user, or others may write to it`)
  }
}

/** A directory of ours that every user may enter, whatever this process's umask. @throws as `requireOurs` */
export async function makePublicDirectory(directory: string): Promise<void> {
  const made = await mkdir(directory, { recursive: true, mode: 0o755 })
  if (made !== undefined) await chmod(directory, 0o755)
  await requireOurs(directory)
}
