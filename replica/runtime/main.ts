#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { requireBundle, serveReplica } from './serve.ts'

/** Entry point of one replica process: `main --dir BUNDLE`. Prints one JSON line when it serves. */

const { values } = parseArgs({ options: { dir: { type: 'string' } } })
if (values.dir === undefined) {
  process.stderr.write('usage: replica --dir BUNDLE (a directory that `pbft init` made)\n')
  process.exit(2)
}

const ended = Promise.withResolvers<void>()
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => ended.resolve())

try {
  await requireBundle(values.dir)
  await serveReplica({
    directory: values.dir,
    logLevel: process.env.PBFT_LOG ?? 'info',
    until: ended.promise,
    onReady: ({ id, address }) =>
      process.stdout.write(`${JSON.stringify({ ready: true, replica: id, address })}\n`),
  })
  process.exit()
} catch (error) {
  process.stderr.write(`replica: ${error instanceof Error ? error.message : String(error)}\n`)
  if (process.env.PBFT_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exit(1)
}
