import { access, constants } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { connect } from '../../client/client.ts'
import { ClientError } from '../../client/errors.ts'
import { errorFields, jsonLine } from '../../client/format.ts'
import { runRepl } from '../../client/repl.ts'
import { exitCodeOf, runCommands } from '../../client/run.ts'
import { runScript } from '../../client/script.ts'
import { wholeNumber } from '../arguments.ts'
import { claimKey } from '../client-key.ts'
import type { ExitCode } from '../exit-code.ts'
import { EXIT } from '../exit-code.ts'
import { DEFAULT_CLUSTER } from '../invocation.ts'

type Options = { readonly cluster: string; readonly json?: boolean; readonly timeout: number }

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .argument('[command...]', 'a comma list of commands; without one: a prompt, or a script from stdin')
    .option('--cluster <directory>', "the cluster's directory", DEFAULT_CLUSTER)
    .option('--timeout <seconds>', 'how long to wait for an answer', wholeNumber(1, 3_600), 10)
    .option('--json', 'print a JSON line per result')
    // A negative amount is for the grammar to refuse, with the reason.
    .allowUnknownOption()
    .addHelpText('after', HELP)
    .action(async (words: readonly string[], options: Options) => exit(await client(words, options)))
}

const HELP = `
Examples:
  pbft client deposit A 100
  pbft client 'deposit $100 to A'                 the shell wants the quotes
  pbft client move 100 from B to A
  pbft client deposit A 100, get A, deposit B 200, get B, withdraw C 100, get C
  pbft client get current balance for A
  pbft client < script.txt                        one line of commands after the other
  pbft client                                     a prompt; help lists the commands

Exit codes: 0 all done, 1 refused or not executed, 2 it can't be told or was not understood.`

async function client(
  words: readonly string[],
  { cluster, json = false, timeout }: Options,
): Promise<ExitCode> {
  const key = await claimKey(cluster)
  try {
    await using bank = await connect({ cluster: key.files, callTimeoutMs: timeout * 1_000 })
    if (words.length > 0) return await runCommands(bank, words.join(' '), { json, out: process.stdout })
    if (!process.stdin.isTTY) return await runScript(bank, process.stdin, { json, out: process.stdout })
    await runRepl(bank, {
      input: process.stdin,
      output: process.stdout,
      historyFile: await historyFile(),
      accounts: key.files.genesis.accounts.map(({ id }) => id),
    })
    return EXIT.pass
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    process.stderr.write(
      json ? `${jsonLine({ ok: false, error: errorFields(error) })}\n` : `pbft: ${error.message}\n`,
    )
    return exitCodeOf(error)
  } finally {
    key.release()
  }
}

/** None for a user without a home of its own. */
async function historyFile(): Promise<string | null> {
  const home = homedir()
  const isWritable = await access(home, constants.W_OK).then(
    () => true,
    () => false,
  )
  return isWritable ? join(home, '.pbft_history') : null
}
