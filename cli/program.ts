import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { COMMANDS } from './commands.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { reportFailure } from './failure.ts'

/** What a file in `commands/` exports: adds options, examples and the action, which ends in `exit`. */
export type CommandModule = {
  readonly define: (command: Command, exit: (code: ExitCode) => void) => void
}

const writeError = (text: string) => void process.stderr.write(text)

/** Parses and runs one command line. Only the command that is named gets loaded: `--help` stays fast. */
export async function run(argv: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.pass
  const program = new Command('pbft')
    .description(
      'A bank ledger that replicas agree on by PBFT over UDP, each with a Postgres database of its own.',
    )
    .version(packageVersion())
    .exitOverride()
    .showHelpAfterError('(add --help for what it takes)')
    .configureHelp({ sortSubcommands: false })
    .addHelpText('after', EXAMPLES)
  const named = argv.filter((word) => !word.startsWith('-'))
  const wanted = named[0] === 'help' ? named[1] : named[0]
  for (const { name, summary, namesLeftovers = false, load } of COMMANDS) {
    const command = program.command(name).description(summary)
    if (name !== wanted) continue
    const module: CommandModule = await load()
    module.define(command, (ended) => {
      code = ended
    })
    if (namesLeftovers) {
      const { nameLeftovers } = await import('./leftovers.ts')
      command.hook('preAction', () => nameLeftovers(writeError))
    }
  }
  try {
    await program.parseAsync(argv, { from: 'user' })
    return code
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, writeError)
    // Commander has said it already: help and version are no failures, everything else is bad usage.
    return error.exitCode === 0 ? EXIT.pass : EXIT.unknown
  }
}

const EXAMPLES = `
Examples:
  pbft demo                          four replicas, one of them killed under load and brought back
  pbft up                            a cluster on this machine, in the foreground
  pbft client deposit A 100, get A   talk to it from another terminal

Exit codes: 0 it passed, 1 it failed, 2 it can't be told or the command was not understood.`

function packageVersion(): string {
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
      if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) return String(parsed.version)
    } catch {
      if (dirname(directory) === directory) return 'unknown'
    }
  }
}
