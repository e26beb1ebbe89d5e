#!/usr/bin/env node
import { access, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { ConfigError } from '../../protocol/config.ts'
import { bundlePaths } from './bundle.ts'
import { type RunningReplica, startReplica } from './replica.ts'

/** Entry point of one replica process: `main --dir BUNDLE`. Prints one JSON line when it serves; logs to the bundle. */

const { values } = parseArgs({ options: { dir: { type: 'string' } } })
if (values.dir === undefined) {
  process.stderr.write('usage: replica --dir BUNDLE (a directory that `pbft init` made)\n')
  process.exit(2)
}
const directory = values.dir
const paths = bundlePaths(directory)

let replica: RunningReplica | undefined
let stopping = false

function report(error: unknown): void {
  process.stderr.write(`replica: ${error instanceof Error ? error.message : String(error)}\n`)
  if (process.env.PBFT_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
}

async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  await replica?.stop().catch(report)
  process.exit()
}

try {
  // The directory may be wrong; the log file must not be the first thing made in it.
  await access(directory).catch(() => {
    throw new ConfigError(`${directory}: there is no such directory. A bundle comes from \`pbft init\`.`)
  })
  const log = pino(
    { level: process.env.PBFT_LOG ?? 'info' },
    pino.destination({ dest: paths.log, sync: false }),
  )
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  replica = await startReplica({
    bundleDirectory: directory,
    log,
    onFatal(error) {
      log.fatal({ error: error.message, stack: error.stack }, 'stopped')
      report(error)
      void stop()
    },
  })
  await writeFile(paths.pid, `${process.pid}\n`)
  process.stdout.write(`${JSON.stringify({ ready: true, replica: replica.id, address: replica.address })}\n`)
} catch (error) {
  report(error)
}
