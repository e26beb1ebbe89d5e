import { execFile } from 'node:child_process'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** `ps` prints the arguments of every process of the machine. */
const OUTPUT_BYTES_MAX = 16_000_000
/** What Linux puts behind the name of a directory that was removed. */
const REMOVED = / \(deleted\)$/

export type RunningProcess = {
  readonly pid: number
  /** Its arguments; one that was renamed, as Postgres' backends are, has one long word. */
  readonly words: readonly string[]
  /** Undefined where it can't be known. */
  readonly workingDirectory: string | undefined
  /** It is stopped (SIGSTOP), and does nothing until it is continued. */
  readonly isPaused: boolean
}

/** Every process of this machine that lives and that this user may look at: those not reaped yet are left out. */
export async function runningProcesses(): Promise<RunningProcess[]> {
  if (process.platform !== 'linux') return processesByPs()
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  return (await Promise.all(pids.map(processOf))).filter((found) => found !== undefined)
}

async function processOf(pid: number): Promise<RunningProcess | undefined> {
  const [line, stat, workingDirectory] = await Promise.all([
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''),
    readlink(`/proc/${pid}/cwd`).catch(() => undefined),
  ])
  // Threads of the kernel, and what has ended, have none.
  if (line === '') return undefined
  // The name in parentheses may hold anything, parentheses too.
  const state = stat.slice(stat.lastIndexOf(')') + 2)[0]
  return {
    pid,
    words: line.split('\0').filter((word) => word !== ''),
    workingDirectory: workingDirectory?.replace(REMOVED, ''),
    isPaused: state === 'T' || state === 't',
  }
}

async function processesByPs(): Promise<RunningProcess[]> {
  const { stdout } = await run('ps', ['-A', '-ww', '-o', 'pid=,stat=,args='], { maxBuffer: OUTPUT_BYTES_MAX })
  return stdout.split('\n').flatMap((line) => {
    const [pid, state = '', ...words] = line.trim().split(/\s+/)
    if (pid === undefined || words.length === 0 || state.startsWith('Z')) return []
    return [{ pid: Number(pid), words, workingDirectory: undefined, isPaused: state.startsWith('T') }]
  })
}
