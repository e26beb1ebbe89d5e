import type { Command } from 'commander'
import { type CleanedRun, cleanLeftovers, findLeftovers, type Leftover } from '../../chaos/live/leftovers.ts'
import { examples } from '../arguments.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { describeLeftover } from '../leftovers.ts'
import { plural } from '../words.ts'

type Options = { readonly dryRun?: boolean; readonly json?: boolean }

export function define(command: Command, exit: (code: ExitCode) => void): void {
  command
    .option('--dry-run', 'say what it would remove, and remove nothing')
    .option('--json', 'print one JSON document')
    .addHelpText('after', `${examples('pbft clean', 'pbft clean --dry-run')}\n${EXPLANATION}`)
    .action(async (options: Options) => exit(await clean(options)))
}

const EXPLANATION = `
demo, bench, experiment and chaos make clusters of their own and remove them at the end, also after Ctrl-C. One that was
killed with SIGKILL can't: this ends the replicas and database servers that it left, paused ones too, and removes their
files, containers and databases. Clusters of commands that still run, and those of up and init, are not touched. A
cluster that was to be kept (demo --keep) keeps its files. Interrupted, it can be run again.

Exit codes: 0 nothing is left, 1 something could not be removed (it says what), or --dry-run found something.`

async function clean({ dryRun = false, json = false }: Options): Promise<ExitCode> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  if (dryRun) {
    const found = await findLeftovers()
    if (json) out(JSON.stringify({ dryRun, runs: found.map((leftover) => toJson(leftover)) }))
    else for (const leftover of found) out(describeLeftover(leftover))
    if (!json)
      out(found.length === 0 ? 'nothing is left' : `${plural(found.length, 'run')} would be cleaned up`)
    return found.length === 0 ? EXIT.pass : EXIT.fail
  }
  const cleaned = await cleanLeftovers()
  if (json)
    out(JSON.stringify({ dryRun, runs: cleaned.map((run) => ({ ...toJson(run), ...resultOf(run) })) }))
  else print(cleaned, out)
  return cleaned.every(({ remains }) => remains.length === 0) ? EXIT.pass : EXIT.fail
}

const toJson = ({ run, processes, paths }: Leftover) => ({
  command: run.command,
  pid: run.pid,
  startedAt: new Date(run.startedAtMs).toISOString(),
  directory: run.directory,
  processes,
  paths,
})

const resultOf = ({ removedDatabases, remains }: CleanedRun) => ({ removedDatabases, remains })

function print(cleaned: readonly CleanedRun[], out: (line: string) => void): void {
  for (const cleanedRun of cleaned) {
    const { run, processes, paths, removedDatabases, remains } = cleanedRun
    out(describeLeftover(cleanedRun))
    for (const database of removedDatabases) out(`  removed ${database}`)
    for (const what of remains) out(`  could not be removed: ${what}`)
    if (remains.length > 0) continue
    const ended = `ended ${plural(processes.length, 'process', 'processes')}`
    const files =
      run.keepsFiles && paths.length > 0 ? 'kept its files, as was asked for' : 'removed its files'
    out(`  ${ended}, ${files}`)
  }
  const stuck = cleaned.filter(({ remains }) => remains.length > 0).length
  if (stuck > 0) out(`${plural(stuck, 'run')} could not be removed completely: see above, and run it again`)
  else out(cleaned.length === 0 ? 'nothing is left' : 'nothing is left now')
}
