#!/usr/bin/env node
import { run } from './program.ts'

// A reader that went away (`pbft status | head -1`) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = await run(process.argv.slice(2))
