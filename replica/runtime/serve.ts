import { access, rm, writeFile } from 'node:fs/promises'
import { pino } from 'pino'
import { ConfigError } from '../../protocol/config.ts'
import type { MakeAdversary } from './adversary.ts'
import { bundlePaths } from './bundle.ts'
import type { Controls } from './control.ts'
import type { FailpointHook } from './failpoints.ts'
import { MessageTrace } from './message-trace.ts'
import type { RunningReplica } from './replica.ts'
import { startReplica } from './start-replica.ts'

/** The directory may be wrong; the log file must not be the first thing made in it. @throws ConfigError */
export async function requireBundle(directory: string): Promise<void> {
  await access(directory).catch((cause) => {
    const message = `${directory}: there is no such directory. A bundle comes from \`pbft init\` or \`pbft up\`.`
    throw new ConfigError(message, { cause })
  })
}

/**
 * Serves a bundle in this process until `until` resolves, and stops in order: also when that comes while it is still
 * starting, so that nothing it started is left behind. Logs to the bundle, and keeps its pid there while it serves.
 * @throws what `startReplica` throws, or the fault that ended it
 */
export async function serveReplica(args: {
  readonly directory: string
  readonly logLevel: string
  readonly archive: boolean
  readonly until: Promise<void>
  readonly onReady: (replica: RunningReplica) => void
  /** What the operator should know although the replica serves; in the log, too. */
  readonly onNotice: (text: string) => void
  readonly noteSynced?: boolean
  readonly failpoint?: FailpointHook
  readonly controls?: Controls | undefined
  readonly makeAdversary?: MakeAdversary | undefined
  readonly byzantine?: string | undefined
  /** Messages go to a file of the bundle: those around view changes, or all. */
  readonly trace?: 'view-changes' | 'all' | undefined
}): Promise<void> {
  const { directory, archive, noteSynced = false, failpoint, controls, makeAdversary, byzantine } = args
  const paths = bundlePaths(directory)
  const log = pino({ level: args.logLevel }, pino.destination({ dest: paths.log, sync: false }))
  const fatal = Promise.withResolvers<Error>()
  const onNotice = (text: string) => {
    log.warn(text)
    args.onNotice(text)
  }
  const trace =
    args.trace === undefined
      ? undefined
      : MessageTrace.toFile(paths.messages, { everything: args.trace === 'all' })
  const replica = await startReplica({
    bundleDirectory: directory,
    log,
    archive,
    noteSynced,
    failpoint,
    controls,
    makeAdversary,
    byzantine,
    trace,
    onNotice,
    onFatal: fatal.resolve,
  })
  await writeFile(paths.pid, `${process.pid}\n`)
  args.onReady(replica)
  const fault = await Promise.race([args.until, fatal.promise])
  if (fault !== undefined) log.fatal({ error: fault.message, stack: fault.stack }, 'stopped')
  await replica.stop()
  trace?.close()
  await rm(paths.pid, { force: true })
  if (fault !== undefined) throw fault
}
