import type { Command } from 'commander'
import { UdpError } from '../../protocol/udp.ts'
import { adversaryIn } from '../../replica/byzantine/adversary.ts'
import { portTaken } from '../../replica/local-cluster.ts'
import { bundlePaths, loadBundle } from '../../replica/runtime/bundle.ts'
import { requireBundle, serveReplica } from '../../replica/runtime/serve.ts'
import { examples } from '../arguments.ts'
import { behaviourHelp } from '../byzantine.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { onEndSignal } from '../scope.ts'

type Options = {
  readonly dir: string
  readonly archive?: boolean
  readonly byzantine?: string
  readonly json?: boolean
}

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .requiredOption('--dir <bundle>', "the replica's own directory, made by `pbft init` or `pbft up`")
    .option('--archive', 'keep what is cut off the vote log, in its directory archive')
    .option('--byzantine <behaviours>', 'what it does against the protocol; genesis must allow it')
    .option('--json', 'print JSON lines')
    .addHelpText(
      'after',
      `${examples('pbft replica --dir .run/cluster/replica-2', 'pbft replica --dir lab/replica-0 --byzantine "equivocation(n2); dark(n4)"')}\n\n${behaviourHelp()}`,
    )
    .action(async (options: Options) => exit(await replica(options)))
}

/** Serves in the foreground until a signal or a fault ends it; its database too, where it is its own. */
async function replica({ dir, archive = false, byzantine, json = false }: Options): Promise<ExitCode> {
  await requireBundle(dir).catch((cause: Error) => {
    throw new UsageError(cause.message, { cause })
  })
  const { log } = bundlePaths(dir)
  const ended = Promise.withResolvers<void>()
  const stopListening = onEndSignal(() => ended.resolve())
  try {
    await serveReplica({
      directory: dir,
      logLevel: process.env.PBFT_LOG ?? 'info',
      archive,
      byzantine,
      makeAdversary: byzantine === undefined ? undefined : adversaryIn(dir),
      until: ended.promise,
      onReady: ({ id, address }) =>
        process.stdout.write(
          json
            ? `${JSON.stringify({ ready: true, replica: id, address, pid: process.pid })}\n`
            : `replica ${id} serves at ${address} (pid ${process.pid}, log ${log}). Ctrl-C stops it.\n`,
        ),
      onNotice: (notice) =>
        process.stdout.write(json ? `${JSON.stringify({ notice })}\n` : `replica: ${notice}\n`),
    })
    if (!json) process.stdout.write('stopped\n')
    return EXIT.pass
  } catch (error) {
    return await explain(error, dir)
  } finally {
    stopListening()
  }
}

/** A taken port is named together with the file that says which. */
async function explain(error: unknown, directory: string): Promise<never> {
  if (!(error instanceof UdpError)) throw error
  const { own } = await loadBundle(directory)
  throw portTaken(bundlePaths(directory).cluster, { id: own.id, cause: error })
}
