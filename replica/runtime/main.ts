#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { failpointHook, parseFailpoint } from './failpoints.ts'
import { requireBundle, serveReplica } from './serve.ts'

/**
 * Entry point of one replica process: `main --dir BUNDLE [--archive]`. Prints one JSON line when it serves, and one per
 * notice. For tests of recovery: PBFT_FAILPOINT names where it is to kill itself (failpoints.ts), and with
 * PBFT_NOTE_SYNCED its vote log says what of it would survive a power cut.
 */

const { values } = parseArgs({
  options: { dir: { type: 'string' }, archive: { type: 'boolean', default: false } },
})
if (values.dir === undefined) {
  process.stderr.write('usage: replica --dir BUNDLE [--archive] (a directory that `pbft init` made)\n')
  process.exit(2)
}

const ended = Promise.withResolvers<void>()
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => ended.resolve())

const say = (line: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(line)}\n`)

try {
  const armed = process.env.PBFT_FAILPOINT
  await requireBundle(values.dir)
  await serveReplica({
    directory: values.dir,
    logLevel: process.env.PBFT_LOG ?? 'info',
    archive: values.archive,
    noteSynced: process.env.PBFT_NOTE_SYNCED !== undefined,
    until: ended.promise,
    onReady: ({ id, address }) => say({ ready: true, replica: id, address }),
    onNotice: (notice) => say({ notice }),
    failpoint:
      armed === undefined
        ? undefined
        : failpointHook(parseFailpoint(armed), () => process.kill(process.pid, 'SIGKILL')),
  })
  process.exit()
} catch (error) {
  process.stderr.write(`replica: ${error instanceof Error ? error.message : String(error)}\n`)
  if (process.env.PBFT_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}
