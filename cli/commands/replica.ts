import { access, rm, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { pino } from 'pino'
import { UdpError } from '../../protocol/udp.ts'
import { portTaken } from '../../replica/local-cluster.ts'
import { bundlePaths, loadBundle } from '../../replica/runtime/bundle.ts'
import { startReplica } from '../../replica/runtime/replica.ts'
import { examples } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { UsageError } from '../failure.ts'
import { onEndSignal } from '../scope.ts'

type Options = { readonly dir: string; readonly json?: boolean }

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .requiredOption('--dir <bundle>', "the replica's own directory, made by `pbft init` or `pbft up`")
    .option('--json', 'print JSON lines')
    .addHelpText('after', examples('pbft replica --dir .run/cluster/replica-2'))
    .action(async (options: Options) => exit(await replica(options)))
}

/** Serves in the foreground until a signal or a fault ends it; its database too, where it is its own. */
async function replica({ dir, json = false }: Options): Promise<ExitCode> {
  await access(dir).catch(() => {
    throw new UsageError(
      `${dir}: there is no such directory. Give a bundle that \`pbft init\` or \`pbft up\` made.`,
    )
  })
  const paths = bundlePaths(dir)
  const ended = Promise.withResolvers<Error | undefined>()
  const stopListening = onEndSignal(() => ended.resolve(undefined))
  try {
    const log = pino(
      { level: process.env.PBFT_LOG ?? 'info' },
      pino.destination({ dest: paths.log, sync: false }),
    )
    const running = await startReplica({ bundleDirectory: dir, log, onFatal: ended.resolve }).catch((error) =>
      explain(error, dir),
    )
    await writeFile(paths.pid, `${process.pid}\n`)
    const { id, address } = running
    process.stdout.write(
      json
        ? `${JSON.stringify({ ready: true, replica: id, address, pid: process.pid })}\n`
        : `replica ${id} serves at ${address} (pid ${process.pid}, log ${paths.log}). Ctrl-C stops it.\n`,
    )
    const fault = await ended.promise
    await running.stop()
    await rm(paths.pid, { force: true })
    if (fault !== undefined) throw fault
    if (!json) process.stdout.write(`replica ${id} stopped\n`)
    return EXIT.pass
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
