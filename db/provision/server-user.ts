import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ProvisionError } from './types.ts'

const run = promisify(execFile)

/** Whom the server runs as; undefined is whoever runs this process. */
export type ServerUser = { readonly uid: number; readonly gid: number } | undefined

/** Nothing of the caller's environment reaches the server: a PGDATA or PGPORT there is meant for another one. */
const ENVIRONMENT = {
  LC_ALL: 'C',
  PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
  // glibc would give the heap back to the system after each statement: a tenth to a quarter of a backend's CPU.
  MALLOC_TOP_PAD_: '4194304',
  MALLOC_TRIM_THRESHOLD_: '67108864',
}

/** How to spawn something as `user`. The working directory may be one that the user can't enter, hence `/`. */
export const spawnAs = (user: ServerUser) => ({ ...user, cwd: '/', env: ENVIRONMENT })

/**
 * Postgres refuses to run as root, and initdb wants a user that has a passwd entry; a bare number won't do. A system
 * without the user `postgres` has `nobody`; no user is created, since that would change the machine for good.
 * @throws ProvisionError 'unsupported' as root on a system with neither
 */
export async function serverUser(): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([
        run('id', ['-u', name], { env: ENVIRONMENT }),
        run('id', ['-g', name], { env: ENVIRONMENT }),
      ])
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
    } catch {
      // No such user: the next name.
    }
  }
  throw new ProvisionError(
    'unsupported',
    'Postgres does not run as root, and there is no user to run it as. Create one (useradd --system postgres), ' +
      'or run this as another user, or give a database URL',
  )
}

/** Whether `user` can reach and execute (enter, for a directory) `path`: asked of the system, which knows ACLs too. */
export async function mayExecute(user: ServerUser, path: string): Promise<boolean> {
  try {
    await run('test', ['-x', path], spawnAs(user))
    return true
  } catch {
    return false
  }
}
