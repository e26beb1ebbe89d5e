import { createLogUpdate } from 'log-update'
import type { RunProgress } from '../../chaos/run/progress.ts'
import { roleOf } from '../role.ts'
import { grouped, seconds } from '../words.ts'

/** Between two lines where there is no terminal to draw on. */
const PLAIN_EVERY_MS = 5_000
const FAULTS_SHOWN = 6

/** What a run does, as lines that are drawn again and again. */
export function renderProgress(progress: RunProgress): string[] {
  const { name, seed, phase, elapsedMs, plannedMs, view, counts, operationsPerSecond, faults } = progress
  const head = [
    `${name}  seed ${seed}`,
    `${seconds(elapsedMs)} of ${seconds(plannedMs)}`,
    phase,
    `view ${view}`,
    `${grouped(operationsPerSecond)} ops/s`,
    `${grouped(counts.answered)} calls answered, ${grouped(counts.unknown)} unknown, ${grouped(counts.failed)} failed`,
  ]
  const shown = faults.slice(0, FAULTS_SHOWN)
  const more = faults.length > shown.length ? [`       and ${faults.length - shown.length} more`] : []
  return [
    head.join('   '),
    ...(shown.length === 0 ? ['no fault in force'] : shown.map((fault) => `fault  ${fault}`)),
    ...more,
    ...progress.replicas.map(({ id, isRunning, report }) => `replica ${id}  ${stateOf(isRunning, report)}`),
  ]
}

function stateOf(isRunning: boolean, report: RunProgress['replicas'][number]['report']): string {
  if (!isRunning) return 'down'
  if (report === null) return 'no answer'
  const database = report.database.connected ? '' : '  no database'
  return `${roleOf(report).padEnd(20)} ${grouped(report.lastExecuted).padStart(9)}${database}`
}

/** The same as one line. */
export function plainLine(progress: RunProgress): string {
  const { phase, elapsedMs, view, operationsPerSecond, faults, replicas } = progress
  const states = replicas.map(({ id, isRunning, report }) =>
    !isRunning ? `${id} down` : `${id} ${report === null ? 'no answer' : report.lastExecuted}`,
  )
  const inForce = faults.length === 0 ? '' : `  faults: ${faults.join('; ')}`
  return `${seconds(elapsedMs).padStart(8)}  ${phase}  view ${view}  ${grouped(operationsPerSecond)} ops/s  [${states.join(', ')}]${inForce}`
}

/** Draws on a terminal, and writes a line now and then where there is none. Everything goes to stderr. */
export class ProgressDisplay {
  readonly #draw = process.stderr.isTTY ? createLogUpdate(process.stderr) : undefined
  #plainAtMs = 0

  show(progress: RunProgress): void {
    if (this.#draw !== undefined) return this.#draw(renderProgress(progress).join('\n'))
    if (progress.elapsedMs < this.#plainAtMs) return
    this.#plainAtMs = progress.elapsedMs + PLAIN_EVERY_MS
    process.stderr.write(`${plainLine(progress)}\n`)
  }

  /** A line that stays. */
  say(line: string): void {
    if (this.#draw !== undefined) this.#draw.persist(line)
    else process.stderr.write(`${line}\n`)
  }

  done(): void {
    this.#draw?.done()
  }
}
