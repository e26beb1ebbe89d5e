import { execFile } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ProvisionError } from './types.ts'

const run = promisify(execFile)

const POLL_MS = 20
/** A fast shutdown writes a checkpoint; an immediate one leaves recovery to the next start. */
const FAST_SHUTDOWN_MS = 15_000
const IMMEDIATE_SHUTDOWN_MS = 10_000

/** What a running server writes into `postmaster.pid`: pid, port and status are its lines 1, 4 and 8. */
export type Postmaster = {
  readonly pid: number
  readonly port: number
  /** 'starting', 'ready' or 'stopping'; empty in the first instants. */
  readonly status: string
}

/** Far longer than an exec, or than Node takes to reap a child. */
const NAMELESS_MS_MAX = 1_000

const pidFileOf = (data: string): string => join(data, 'postmaster.pid')

async function readPidFile(data: string): Promise<Postmaster | undefined> {
  const text = await readFile(pidFileOf(data), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  return { pid: Number(lines[0] ?? ''), port: Number(lines[3] ?? ''), status: (lines[7] ?? '').trim() }
}

/**
 * The server that runs on `data`. Its pid alone proves nothing: after a power cut the number may be another
 * process's, and a process that nobody has reaped yet still has its number.
 */
export async function findPostmaster(data: string): Promise<Postmaster | undefined> {
  const found = await readPidFile(data)
  return found !== undefined && (await serves(found.pid, data)) ? found : undefined
}

/** Whether `pid` is a live server that was started on `data`, by its command line. */
async function serves(pid: number, data: string): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  const commandLine = await commandLineOf(pid)
  return commandLine.includes(` -D ${data} `)
}

/** Words with a blank between and after; empty for a process that is gone or was not reaped. */
async function commandLineOf(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return raw.replaceAll('\0', ' ')
  }
  const { stdout } = await run('ps', ['-o', 'args=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return `${stdout.trim()} `
}

/**
 * Removes a `postmaster.pid` that outlived its server and would keep a new one from starting: Postgres takes another
 * process of the same user for its own (after a power cut of the whole machine, the four servers get each other's
 * numbers), and refuses an empty file (the power went between making and writing it). A number that nobody has is
 * left to Postgres, which then also checks that no orphan of the old server still writes.
 */
export async function removeStalePidFile(data: string): Promise<void> {
  const found = await readPidFile(data)
  if (found === undefined || (await serves(found.pid, data))) return
  if (!(found.pid > 0) || isRunning(found.pid)) await rm(pidFileOf(data), { force: true })
}

/** Whether any process has the number. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/**
 * Waits until the server is past its start: ready, or stopping. Undefined when it is gone, or the time is up. A process
 * just spawned shows no command line for a moment, in the middle of its exec, and neither does one that has just ended.
 */
export async function waitUntilStarted(
  pid: number,
  { data, timeoutMs }: { readonly data: string; readonly timeoutMs: number },
): Promise<Postmaster | undefined> {
  let namelessMs = 0
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += POLL_MS) {
    namelessMs = (await serves(pid, data)) ? 0 : namelessMs + POLL_MS
    if (namelessMs > NAMELESS_MS_MAX || (namelessMs > 0 && !isRunning(pid))) return undefined
    const found = await readPidFile(data)
    if (found?.pid === pid && (found.status === 'ready' || found.status === 'stopping')) return found
    await delay(POLL_MS)
  }
  return undefined
}

/** @returns whether the server's process is gone within the time */
export async function waitUntilGone(
  pid: number,
  { data, timeoutMs }: { readonly data: string; readonly timeoutMs: number },
): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += POLL_MS) {
    if (!(await serves(pid, data))) return true
    await delay(POLL_MS)
  }
  return false
}

/**
 * Stops a server and waits until its process is gone: connections are ended and a checkpoint written; a server that
 * does not manage that in time is stopped without.
 * @throws ProvisionError 'failed' when it outlives both
 */
export async function stopPostmaster(pid: number, data: string): Promise<void> {
  const attempts = [
    { signal: 'SIGINT', timeoutMs: FAST_SHUTDOWN_MS },
    { signal: 'SIGQUIT', timeoutMs: IMMEDIATE_SHUTDOWN_MS },
  ] as const
  for (const { signal, timeoutMs } of attempts) {
    if (!(await serves(pid, data))) return
    try {
      process.kill(pid, signal)
    } catch (cause) {
      if (!(await serves(pid, data))) return
      throw new ProvisionError('failed', `may not stop the Postgres process ${pid}, which serves ${data}`, {
        cause,
      })
    }
    if (await waitUntilGone(pid, { data, timeoutMs })) return
  }
  throw new ProvisionError('failed', `the Postgres process ${pid}, which serves ${data}, does not stop`)
}
