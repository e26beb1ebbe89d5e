import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** A server that was stopped starts no further process; those that it started meanwhile are found by another look. */
const LOOKS_MAX = 10

/** SIGKILL: nothing of it survives, nor has time to say anything. */
export async function killServerProcesses(postmaster: number): Promise<void> {
  const children = await childrenOf(postmaster)
  for (const pid of [postmaster, ...children]) signal(pid, 'SIGKILL')
}

/** SIGSTOP to the postmaster, which then starts no further process, and to each that it started. */
export async function pauseServerProcesses(postmaster: number): Promise<void> {
  signal(postmaster, 'SIGSTOP')
  const stopped = new Set<number>()
  for (let look = 0; look < LOOKS_MAX; look++) {
    const fresh = (await childrenOf(postmaster)).filter((pid) => !stopped.has(pid))
    if (fresh.length === 0) return
    for (const pid of fresh) {
      signal(pid, 'SIGSTOP')
      stopped.add(pid)
    }
  }
}

export async function resumeServerProcesses(postmaster: number): Promise<void> {
  for (const pid of [...(await childrenOf(postmaster)), postmaster]) signal(pid, 'SIGCONT')
}

/** One that ended meanwhile needs no signal. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const pairs = process.platform === 'linux' ? await pairsOfProc() : await pairsOfPs()
  return pairs.filter((pair) => pair.parent === parent).map(({ pid }) => pid)
}

type Pair = { readonly pid: number; readonly parent: number }

async function pairsOfProc(): Promise<Pair[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // The name is in parentheses and may hold any character; state and parent stand behind it.
      const [, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return { pid: Number(pid), parent: Number(parent) }
    }),
  )
}

async function pairsOfPs(): Promise<Pair[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid='])
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [pid = '', parent = ''] = line.trim().split(/\s+/)
      return { pid: Number(pid), parent: Number(parent) }
    })
}
