import { readdir, readFile } from 'node:fs/promises'

/** What /proc counts in; fixed on Linux, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100
/** Fields behind the command's name in /proc/PID/stat, from 0: parent, own time, time of children that ended. */
const PARENT = 1
const TIMES = [11, 12, 13, 14] as const

type Stat = { readonly parent: number; readonly cpuMs: number }

/**
 * CPU time so far of a process, its children and what ended children used, in ms: a Postgres server with all its
 * backends. Undefined where there is no /proc, or no such process.
 */
export async function cpuOfTreeMs(pid: number): Promise<number | undefined> {
  const root = await statOf(pid)
  if (root === undefined) return undefined
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(pids.map((name) => statOf(Number(name))))
  return stats.reduce((sum, stat) => (stat?.parent === pid ? sum + stat.cpuMs : sum), root.cpuMs)
}

async function statOf(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  // The name is in parentheses and may hold any character, blanks and parentheses too.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = TIMES.reduce((sum, at) => sum + Number(fields[at] ?? 0), 0)
  return { parent: Number(fields[PARENT]), cpuMs: (ticks * 1_000) / TICKS_PER_SECOND }
}
