import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import pg from 'pg'
import { findHome } from '../../db/provision/data-directory.ts'
import { removeEmbedded } from '../../db/provision/embedded.ts'
import { findPostmaster } from '../../db/provision/postmaster.ts'
import {
  killServerProcesses,
  pauseServerProcesses,
  resumeServerProcesses,
} from '../../db/provision/server-processes.ts'

const run = promisify(execFile)

/** What a chaos run can do to the server itself. Each is refused, in words, where it is not ours. */
export type DatabaseServer = {
  /** Straight to it, password included. */
  readonly url: string
  /** Whether it runs as processes of this machine that may be killed and paused. */
  readonly isOwn: boolean
  kill(): Promise<void>
  pause(): Promise<void>
  resume(): Promise<void>
  /** Rows and all, while its replica is down. */
  wipe(): Promise<void>
}

/** @param directory as `dataDirectory` of the bundle, or what it stands for */
export function embeddedServer(url: string, directory: string): DatabaseServer {
  const onPostmaster = async (deed: (pid: number) => Promise<void>) => {
    const home = await findHome(directory)
    const postmaster = home === undefined ? undefined : await findPostmaster(home.data)
    if (postmaster !== undefined) await deed(postmaster.pid)
  }
  return {
    url,
    isOwn: true,
    kill: () => onPostmaster(killServerProcesses),
    pause: () => onPostmaster(pauseServerProcesses),
    resume: () => onPostmaster(resumeServerProcesses),
    wipe: () => removeEmbedded(directory),
  }
}

/** @param port the container's label, by which `db/provision/container.ts` finds it */
export function containerServer(url: string, port: number): DatabaseServer {
  const docker = async (...words: string[]) => {
    const found = await run('docker', ['ps', '-aq', '--filter', `label=pbft-ledger.port=${port}`])
    const ids = found.stdout.trim().split('\n').filter(Boolean)
    if (ids.length > 0) await run('docker', [...words, ...ids])
  }
  return {
    url,
    isOwn: true,
    kill: () => docker('kill'),
    pause: () => docker('pause'),
    // One that is not paused says so; nothing is wrong with that.
    resume: () => docker('unpause').catch(() => undefined),
    wipe: () => docker('rm', '--force', '--volumes'),
  }
}

export function foreignServer(url: string): DatabaseServer {
  const refuse = (deed: string) => async () => {
    throw new Error(`a database behind a URL is not ours to ${deed}: use --postgres embedded or docker`)
  }
  return {
    url,
    isOwn: false,
    kill: refuse('kill'),
    pause: refuse('pause'),
    resume: async () => undefined,
    wipe: () => emptySchema(url),
  }
}

async function emptySchema(url: string): Promise<void> {
  const connection = new pg.Client(url)
  await connection.connect()
  try {
    await connection.query('drop schema public cascade; create schema public')
  } finally {
    await connection.end()
  }
}
