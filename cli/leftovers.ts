import { findLeftovers, type Leftover } from '../chaos/live/leftovers.ts'
import type { RunProcess } from '../chaos/live/run-processes.ts'
import { RegistryError } from '../chaos/live/run-registry.ts'
import { invocation } from './invocation.ts'
import { listed, plural } from './words.ts'

/** What a killed command left, in one line for people. */
export function describeLeftover({ run, processes, paths }: Leftover): string {
  const since = new Date(run.startedAtMs).toISOString()
  const pidsOf = (wanted: RunProcess['kind']) =>
    processes
      .filter(({ kind }) => kind === wanted)
      .map(({ pid, isPaused }) => `${pid}${isPaused ? ' (paused)' : ''}`)
  const replicas = pidsOf('replica')
  const servers = pidsOf('postmaster')
  const backends = pidsOf('backend')
  const parts = [
    replicas.length > 0 ? `replicas ${listed(replicas)}` : '',
    servers.length > 0 ? `database servers ${listed(servers)}` : '',
    backends.length > 0
      ? plural(backends.length, 'process of such servers', 'processes of such servers')
      : '',
    paths.length > 0 ? `files in ${listed(paths)}` : '',
  ].filter((part) => part !== '')
  const what = parts.length > 0 ? parts.join('; ') : 'nothing but this note'
  return `\`${run.command}\` of ${since} (process ${run.pid}), which was killed, left: ${what}`
}

/** Before a command starts something of its own: what others left takes the machine's time and memory. */
export async function nameLeftovers(write: (text: string) => void): Promise<void> {
  try {
    const found = await findLeftovers()
    for (const leftover of found) write(`${describeLeftover(leftover)}\n`)
    if (found.length > 0) write(`${invocation()} clean removes ${found.length === 1 ? 'it' : 'them'}\n`)
  } catch (error) {
    // It must not keep anybody from working; whoever announces a run is told.
    if (!(error instanceof RegistryError)) throw error
  }
}
