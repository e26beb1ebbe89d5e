import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** One vote log of one replica. */
export type LogSource = {
  readonly replica: number
  readonly directory: string
  /** The one that the replica used last; the others were lost, or reset by hand, and may well be damaged. */
  readonly isCurrent: boolean
}

const PUT_ASIDE = /^votes\.(lost|reset)-(\d+)$/

/** The vote logs below a bundle, or below a copy of one: those that were put aside first, in their order. */
export async function logsBelow(bundle: string, replica: number): Promise<LogSource[]> {
  const names = await readdir(bundle).catch((): string[] => [])
  const aside = names
    .filter((name) => PUT_ASIDE.test(name))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  const current = names.includes('votes') ? ['votes'] : []
  return [...aside, ...current].map((name) => ({
    replica,
    directory: join(bundle, name),
    isCurrent: name === 'votes',
  }))
}
