import { basename, resolve, sep } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { endServing, servesBundle } from '../../replica/local-cluster/process-identity.ts'
import { type RunningProcess, runningProcesses } from './process-table.ts'
import type { TemporaryRun } from './run-registry.ts'

const POLL_MS = 50
/** A replica makes its log durable and stops its database. */
const REPLICA_PATIENCE_MS = 20_000
const SERVER_PROGRAMS = new Set(['postgres', 'initdb'])

/**
 * In this order, each until all are gone or the time is up: fast, at once, by force. A postmaster ends its backends; one
 * whose postmaster is gone may be stopped within a system call, and only force is sure to reach it.
 */
const SERVER_ENDS = [
  { signal: 'SIGINT', to: ['postmaster'], patienceMs: 15_000 },
  { signal: 'SIGQUIT', to: ['postmaster'], patienceMs: 10_000 },
  { signal: 'SIGKILL', to: ['postmaster', 'backend'], patienceMs: 5_000 },
] as const

export type RunProcess = {
  readonly kind: 'replica' | 'postmaster' | 'backend'
  readonly pid: number
  readonly isPaused: boolean
}

/** The processes of a run, whether its directory still exists or not. */
export async function processesOf(run: TemporaryRun): Promise<RunProcess[]> {
  const found = await runningProcesses()
  const judged = await Promise.all(
    found.map(async (candidate): Promise<RunProcess[]> => {
      const { pid, isPaused } = candidate
      if (isServerOf(run, candidate)) {
        return [{ kind: candidate.words.includes('-D') ? 'postmaster' : 'backend', pid, isPaused }]
      }
      return (await bundleServedBy(run, candidate)) === undefined ? [] : [{ kind: 'replica', pid, isPaused }]
    }),
  )
  return judged.flat().sort((a, b) => a.pid - b.pid)
}

/** By what it was started with, not by its pid: that may be another process's by now. */
async function bundleServedBy(
  { cluster, replicas }: TemporaryRun,
  { pid, words }: RunningProcess,
): Promise<string | undefined> {
  // Nearly all processes of a machine: not worth another look.
  if (!words.some((word) => word.startsWith('--dir'))) return undefined
  for (let id = 0; id < replicas; id++) {
    const bundle = bundleOf(cluster, id)
    if (await servesBundle(pid, bundle)) return bundle
  }
  return undefined
}

/**
 * A postmaster, a backend that outlived it, or what was making the database. Backends have another command line, and
 * the data directory for working directory. What merely reads a file of the run is none of these.
 */
export function isServerOf(
  { directory, homes }: Pick<TemporaryRun, 'directory' | 'homes'>,
  { words, workingDirectory }: Pick<RunningProcess, 'words' | 'workingDirectory'>,
): boolean {
  const [program = ''] = words
  if (!SERVER_PROGRAMS.has(basename(program)) && !program.startsWith('postgres: ')) return false
  const places = [directory, ...homes]
  const paths = workingDirectory === undefined ? words : [...words, workingDirectory]
  return paths.some((path) => places.some((place) => isWithin(path, place)))
}

const isWithin = (path: string, place: string): boolean =>
  path.startsWith(sep) && (resolve(path) === place || resolve(path).startsWith(`${place}${sep}`))

/**
 * Ends all processes of a run, replicas first, since those stop their servers in order. Paused ones are continued: they
 * would hear nothing.
 * @returns those that are still there
 */
export async function endProcessesOf(run: TemporaryRun): Promise<RunProcess[]> {
  for (const { pid } of await processesOf(run)) signal(pid, 'SIGCONT')
  const candidates = await runningProcesses()
  await Promise.all(
    candidates.map(async (candidate) => {
      const bundle = await bundleServedBy(run, candidate)
      // One that does not stop is among those that are returned.
      if (bundle !== undefined)
        await endServing(candidate.pid, bundle, REPLICA_PATIENCE_MS).catch(() => undefined)
    }),
  )
  for (const { signal: name, to, patienceMs } of SERVER_ENDS) {
    const servers = (await serversOf(run)).filter(({ kind }) => to.some((target) => target === kind))
    for (const { pid } of servers) signal(pid, name)
    if (servers.length > 0) await untilServersAreGone(run, patienceMs)
  }
  return processesOf(run)
}

const serversOf = async (run: TemporaryRun): Promise<RunProcess[]> =>
  (await processesOf(run)).filter(({ kind }) => kind !== 'replica')

async function untilServersAreGone(run: TemporaryRun, patienceMs: number): Promise<void> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += POLL_MS) {
    if ((await serversOf(run)).length === 0) return
    await delay(POLL_MS)
  }
}

/** One that has just ended, or is another user's, is not signalled; who is left over is looked at afterwards. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    return
  }
}
