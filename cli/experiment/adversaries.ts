import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Cell, campaignOf, cellsOf, honestCampaign } from '../../chaos/experiments/adversaries/cells.ts'
import { CellTally } from '../../chaos/experiments/adversaries/matrix.ts'
import { type AdversariesResult, failedRuns, matrixText } from '../../chaos/experiments/adversaries/report.ts'
import { thisMachine } from '../../chaos/experiments/machine.ts'
import { campaignsInParallel } from '../../chaos/sim/parallel.ts'
import type { AdversariesOptions } from '../commands/experiment-adversaries.ts'
import { EXIT, type ExitCode } from '../exit-code.ts'
import { commandLine } from '../invocation.ts'
import { grouped, plural } from '../words.ts'
import { ProgressLine } from './progress-line.ts'

/** Runs every cell and what it is compared with, and prints the matrix. */
export async function experimentAdversaries(options: AdversariesOptions): Promise<ExitCode> {
  const { seed, workers, json = false, out, markdown } = options
  const startedAt = new Date().toISOString()
  const startedMs = performance.now()
  const cells = cellsOf(options)
  const honest = [...new Set(options.replicas)].map((replicas) => ({
    replicas,
    names: [],
    runs: Math.max(options.alone, options.pairs),
  }))
  const tallies = await tally([...honest, ...cells], options)
  const honestTallies = new Map(honest.map(({ replicas }, index) => [replicas, tallies[index] ?? null]))
  const results = cells.map((cell, index) => {
    const compared = cell.names === null ? null : (honestTallies.get(cell.replicas) ?? null)
    const own = tallies[honest.length + index]
    if (own === undefined) throw new Error('a cell without a tally')
    return own.result(compared)
  })
  const result: AdversariesResult = {
    command: commandLine(),
    machine: thisMachine(),
    startedAt,
    seconds: (performance.now() - startedMs) / 1_000,
    fromSeed: seed,
    honest: honest.map(({ replicas, runs }) => {
      const viewChanges = honestTallies.get(replicas)?.result(null).viewChanges ?? 0
      return { replicas, runs, viewChanges }
    }),
    cells: results,
  }
  const text = matrixText(result)
  if (out !== undefined) await store(out, `${JSON.stringify(result, null, 2)}\n`)
  if (markdown !== undefined) await store(markdown, `${text}\n`)
  const runs = cells.reduce((sum, cell) => sum + cell.runs, 0)
  process.stdout.write(
    json
      ? `${JSON.stringify(result)}\n`
      : `${text}\n\n${plural(runs, 'run')} from seed ${seed} with ${plural(workers, 'thread')}, ${failedRuns(result)} failed\n`,
  )
  return failedRuns(result) === 0 ? EXIT.pass : EXIT.fail
}

async function tally(cells: readonly Cell[], { seed, workers }: AdversariesOptions): Promise<CellTally[]> {
  const line = new ProgressLine(process.stderr)
  const tallies = cells.map((cell) => new CellTally(cell))
  const total = cells.reduce((sum, { runs }) => sum + runs, 0)
  const startedMs = performance.now()
  let done = 0
  const campaigns = cells.map((cell) =>
    cell.names?.length === 0 ? honestCampaign(cell, seed) : campaignOf(cell, seed),
  )
  for await (const { index, report } of campaignsInParallel(campaigns, workers)) {
    tallies[index]?.add(report)
    done += 1
    if (report.failure !== null)
      line.say(`failed: ${report.command}: ${report.failure.message.split('\n')[0]}`)
    const perSecond = (done * 1_000) / (performance.now() - startedMs)
    line.update(`${grouped(done)} of ${plural(total, 'run')}, ${perSecond.toFixed(1)} a second`)
  }
  return tallies
}

async function store(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
