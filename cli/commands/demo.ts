import type { Command } from 'commander'
import { examples } from '../arguments.ts'
import type { ExitCode } from '../exit-code.ts'
import { withScope } from '../scope.ts'

type Options = { readonly keep?: boolean }

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--keep', 'leave the cluster directory, to look at it')
    .addHelpText('after', `${examples('pbft demo')}\n${EXPLANATION}`)
    .action(async ({ keep = false }: Options) => {
      const { runDemo } = await import('../demo/demo.ts')
      exit(await withScope((scope) => runDemo(scope, { keep })))
    })
}

const EXPLANATION = `
A fresh cluster of four replicas in a temporary directory: it orders a few operations, loses a backup to SIGKILL under
load, goes on, gets it back and brings it up to date; in the end all four databases are held against each other.`
