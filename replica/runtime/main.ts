#!/usr/bin/env node
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { adversaryIn } from '../byzantine/adversary.ts'
import { Controls } from './control.ts'
import { failpointHook, parseFailpoint } from './failpoints.ts'
import type { RunningReplica } from './replica.ts'
import { requireBundle, serveReplica } from './serve.ts'

/**
 * Entry point of one replica process. Prints one JSON line when it serves, and one per notice.
 *
 * `--archive` keeps segments that are cut off the vote log. For tests of recovery and chaos runs: `--control` takes
 * commands on stdin, a JSON line each (control.ts), answers each with a line, and ends the replica in order when stdin
 * ends; `--trace` writes messages around view changes to a file of the bundle, `--trace-all` all of them; with `--note-synced` the vote log says what of
 * it would survive a power cut; `--byzantine` names what it does against the protocol (byzantine/behaviour.ts); PBFT_FAILPOINT names where the process is to kill itself (failpoints.ts).
 */

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    archive: { type: 'boolean', default: false },
    control: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    'trace-all': { type: 'boolean', default: false },
    'note-synced': { type: 'boolean', default: false },
    byzantine: { type: 'string' },
  },
})
if (values.dir === undefined) {
  process.stderr.write(
    'usage: replica --dir BUNDLE [--archive] [--control] [--trace] [--trace-all] [--note-synced] [--byzantine BEHAVIOURS] ' +
      '(BUNDLE: a directory that `pbft init` made)\n',
  )
  process.exit(2)
}

const ended = Promise.withResolvers<void>()
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => ended.resolve())

const say = (line: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(line)}\n`)

const ready = Promise.withResolvers<RunningReplica>()
if (values.control) takeCommands()

/** Whoever gave the commands may be killed at any time: then nobody reads what is said here, either. */
function takeCommands(): void {
  process.stdout.on('error', () => undefined)
  process.stderr.on('error', () => undefined)
  const lines = createInterface({ input: process.stdin })
  lines.on('line', async (line) => say({ answer: (await ready.promise).control(line) }))
  lines.once('close', () => ended.resolve())
}

try {
  const armed = process.env.PBFT_FAILPOINT
  await requireBundle(values.dir)
  await serveReplica({
    directory: values.dir,
    logLevel: process.env.PBFT_LOG ?? 'info',
    archive: values.archive,
    noteSynced: values['note-synced'],
    controls: values.control ? new Controls() : undefined,
    makeAdversary: values.control || values.byzantine !== undefined ? adversaryIn(values.dir) : undefined,
    byzantine: values.byzantine,
    trace: values['trace-all'] ? 'all' : values.trace ? 'view-changes' : undefined,
    until: ended.promise,
    onReady: (replica) => {
      ready.resolve(replica)
      say({ ready: true, replica: replica.id, address: replica.address })
    },
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
