import type { RunResults } from '../../chaos/run/conduct.ts'
import { table } from '../../client/format.ts'
import { propertyLines } from '../check/print.ts'
import { invocation } from '../invocation.ts'
import { grouped, seconds } from '../words.ts'

const VERDICTS: Readonly<Record<RunResults['verdict'], string>> = {
  pass: 'PASS',
  fail: 'FAIL',
  inconclusive: 'INCONCLUSIVE',
}

/** What a run was, for people: what was demanded, what the checker says, and how to do it again. */
export function printResults(results: RunResults, directory: string): void {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  const { verdict, reasons, name, seed, load, faults, demands, elapsedMs } = results
  const { counts } = load
  out('')
  out(
    `${grouped(counts.answered)} calls answered (${grouped(counts.operations)} operations), ${counts.failed} failed, ${counts.unknown} unknown, ${counts.settled} of them settled later; ${Math.round(load.operationsPerSecond)} operations/s before the first fault`,
  )
  if (load.liar !== null) {
    const { answered, failed, packets } = load.liar
    out(
      `a client that lied sent ${grouped(packets)} messages; ${grouped(answered)} of its calls were answered, ${grouped(failed)} were not`,
    )
  }
  out(`${faults.struck} faults: ${kindsOf(faults.byKind)}\n`)
  if (demands.length > 0) {
    const rows = demands.map(({ demand, count, example }) => [
      demand,
      `${count}`,
      example ?? 'never happened',
    ])
    out(`${table(['demanded', 'times', 'for example'], rows)}\n`)
  }
  for (const line of propertyLines(results.check.properties)) out(line)
  out(`\n${VERDICTS[verdict]}  ${name}, seed ${seed}, ${seconds(elapsedMs)}`)
  for (const reason of reasons) out(`  ${reason}`)
  out(`the run: ${directory}`)
  if (verdict === 'pass') return
  out(`again:   ${results.repeat}`)
  out(`judge:   ${invocation()} check --run ${directory}`)
}

const kindsOf = (byKind: RunResults['faults']['byKind']): string =>
  Object.entries(byKind)
    .map(([kind, count]) => (count === 1 ? kind : `${kind} (${count})`))
    .join(', ') || 'none'
