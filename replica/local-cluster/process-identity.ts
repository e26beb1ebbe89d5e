import { execFile } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { bundlePaths } from '../runtime/bundle.ts'

const run = promisify(execFile)
const POLL_MS = 25

/**
 * The process that serves `bundle`, by its pid file; undefined when none does. A number alone proves nothing: after
 * a reboot it may be another process's, which must not be signalled.
 */
export async function servingPid(bundle: string): Promise<number | undefined> {
  const text = await readFile(bundlePaths(bundle).pid, 'utf8').catch(() => '')
  const pid = Number(text.trim())
  return (await servesBundle(pid, bundle)) ? pid : undefined
}

/** Whether `pid` is a live process that was started with `--dir` and this bundle. */
export async function servesBundle(pid: number, bundle: string): Promise<boolean> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  const words = await commandLine(pid)
  const at = words.findIndex((word) => word === '--dir' || word.startsWith('--dir='))
  const given = words[at]?.slice('--dir='.length) || words[at + 1]
  if (at < 0 || given === undefined) return false
  return resolve(await workingDirectory(pid), given) === resolve(bundle)
}

/** Empty for a process that is gone, or that nobody has reaped yet. */
async function commandLine(pid: number): Promise<readonly string[]> {
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    return raw.split('\0')
  }
  const { stdout } = await run('ps', ['-o', 'args=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return stdout.trim().split(' ')
}

const workingDirectory = (pid: number): Promise<string> =>
  readlink(`/proc/${pid}/cwd`).catch(() => process.cwd())

/** Signals a process of ours until it is gone: SIGTERM, and SIGKILL when that did not do within `patienceMs`. */
export async function endServing(pid: number, bundle: string, patienceMs: number): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!(await servesBundle(pid, bundle))) return
    process.kill(pid, signal)
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += POLL_MS) {
      if (!(await servesBundle(pid, bundle))) return
      await delay(POLL_MS)
    }
  }
  throw new Error(`process ${pid}, which serves ${bundle}, does not stop`)
}
