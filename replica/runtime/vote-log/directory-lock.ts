import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { VoteLogError } from './vote-log-error.ts'

const LOCK_FILE = 'lock'
const HOLDER_FILE = 'lock.pid'
const SQLITE_BUSY = 5

/**
 * One process per vote log [D2]. The lock is the kernel's: an exclusive transaction on an empty SQLite file holds a
 * POSIX record lock, which ends with the process however that ends. A lock file with a pid would have to guess
 * whether the pid is still the same process, which reused pids, restarts and containers make it get wrong; two
 * processes voting from one log is what must never happen. Nothing is ever written to the database.
 */
export class DirectoryLock {
  /** What a lock leaves in its directory. */
  static readonly FILES: readonly string[] = [LOCK_FILE, HOLDER_FILE]

  readonly #database: DatabaseSync

  private constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** @throws VoteLogError 'locked' naming the holder's pid, or 'io'. */
  static take(directory: string): DirectoryLock {
    const file = join(directory, LOCK_FILE)
    let database: DatabaseSync | undefined
    try {
      database = new DatabaseSync(file)
      database.exec('pragma journal_mode = memory; begin exclusive')
      writeFileSync(join(directory, HOLDER_FILE), `${process.pid}\n`)
      return new DirectoryLock(database)
    } catch (cause) {
      database?.close()
      if (isBusy(cause)) throw lockedBy(directory, file, cause)
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new VoteLogError(
        'io',
        { file },
        `${file}: cannot be locked: ${why}. The directory must be writable and its file system support locks.`,
        { cause },
      )
    }
  }

  release(): void {
    this.#database.close()
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY

function lockedBy(directory: string, file: string, cause: unknown): VoteLogError {
  let holder = 'another process'
  try {
    holder = `process ${readFileSync(join(directory, HOLDER_FILE), 'utf8').trim()}`
  } catch {
    // Between its taking the lock and writing its pid.
  }
  return new VoteLogError(
    'locked',
    { file },
    `${directory}: the vote log is in use by ${holder}. Stop it first; one log serves one process at a time.`,
    { cause },
  )
}
