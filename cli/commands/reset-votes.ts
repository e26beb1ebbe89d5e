import type { Command } from 'commander'
import { bundleOf } from '../../replica/local-cluster/layout.ts'
import { findResetPoint, requireStopped, resetVotes } from '../../replica/local-cluster/reset-votes.ts'
import { loadCluster } from '../../replica/local-cluster.ts'
import { loadBundle } from '../../replica/runtime/bundle.ts'
import { examples } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { DEFAULT_CLUSTER, invocation } from '../invocation.ts'
import { listed } from '../words.ts'

type Options = { readonly cluster: string; readonly yes?: boolean; readonly json?: boolean }

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option(
      '--cluster <directory>',
      "the cluster's directory, with the bundles of all replicas",
      DEFAULT_CLUSTER,
    )
    .option('--yes', 'do it; without this, only say what would be done')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `${examples('pbft reset-votes --cluster bank', 'pbft reset-votes --yes')}\n${EXPLANATION}`,
    )
    .action(async (options: Options) => exit(await reset(options)))
}

const EXPLANATION = `
For a cluster that lost more vote logs than it can make good by itself. Every replica must be stopped, and all bundles
must be in one directory: bring them together from their hosts first. The databases must continue each other; the
newest of them becomes the state of the cluster, and every replica gets a new vote log that begins there.

What is given up: requests that were executed nowhere, or only in a database that is lost. A client that was answered
shortly before all lost power may find that write gone. Where the old vote logs still exist, put them back instead.`

async function reset({ cluster: directory, yes = false, json = false }: Options): Promise<ExitCode> {
  const { genesis } = await loadCluster(directory)
  requireStopped(await Promise.all(genesis.replicas.map(({ id }) => loadBundle(bundleOf(directory, id)))))
  const point = await findResetPoint(directory, genesis)
  const { seq, chain, positions } = point
  const behind = positions.flatMap((position, id) => (position < seq ? [id] : []))
  const kept = yes ? await resetVotes(directory, genesis, point) : []
  if (json) {
    process.stdout.write(`${JSON.stringify({ done: yes, seq, chain, behind, kept })}\n`)
    return yes ? EXIT.pass : EXIT.unknown
  }
  const say = (line: string) => process.stdout.write(`${line}\n`)
  say(`the newest database holds ${seq} batches; the others hold the same, or a beginning of it`)
  if (behind.length > 0)
    say(
      behind.length === 1
        ? `replica ${behind[0]} is behind it, and fetches the state when it starts`
        : `replicas ${listed(behind)} are behind it, and fetch the state when they start`,
    )
  if (!yes) {
    say(`nothing was changed. ${invocation()} reset-votes --help says what is given up; --yes does it.`)
    return EXIT.unknown
  }
  for (const [id, old] of kept.entries())
    if (old !== null) say(`replica ${id}: its old vote log is kept in ${old}`)
  say(`every replica has a new vote log that begins at ${seq}. Start them all.`)
  return EXIT.pass
}
