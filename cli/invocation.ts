import { relative } from 'node:path'
import { redactUrl } from '../db/provision/url.ts'

/** Where `up` makes its cluster, and the other commands look for one, unless told otherwise. */
export const DEFAULT_CLUSTER = '.run/cluster'

/** How this program is called where it runs: installed, or in a checkout. */
export function invocation(): string {
  const main = process.argv[1] ?? ''
  if (!main.endsWith('.ts')) return 'pbft'
  return process.env.npm_lifecycle_event === undefined
    ? `node ${relative(process.cwd(), main)}`
    : 'npm run -s pbft --'
}

/** What was typed, for people who wonder where something comes from; without the passwords in it. */
export const commandLine = (): string =>
  ['pbft', ...process.argv.slice(2).map((word) => (word.includes('://') ? redactUrl(word) : word))].join(' ')
