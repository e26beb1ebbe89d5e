import type { ExperimentResult } from '../result.ts'
import type { CellResult } from './matrix.ts'

export type AdversariesResult = {
  readonly command: string
  readonly machine: ExperimentResult['machine']
  readonly startedAt: string
  readonly seconds: number
  readonly fromSeed: number
  /** The same seeds without liars, by n. */
  readonly honest: readonly {
    readonly replicas: number
    readonly runs: number
    readonly viewChanges: number
  }[]
  readonly cells: readonly CellResult[]
}

export const failedRuns = ({ cells }: AdversariesResult): number =>
  cells.reduce((sum, { failures }) => sum + failures.length, 0)

/** The matrix as a page of Markdown, which is also read well on a terminal. */
export function matrixText(result: AdversariesResult): string {
  const sizes = [...new Set(result.cells.map(({ replicas }) => replicas))]
  return [
    ...aloneLines(result, sizes),
    '',
    ...sizes.flatMap((replicas) => pairLines(result, replicas)),
    ...sizes.flatMap((replicas) => swarmLines(result, replicas)),
    ...failureLines(result),
  ].join('\n')
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function aloneLines({ cells, honest }: AdversariesResult, sizes: readonly number[]): string[] {
  const alone = cells.filter(({ names }) => names?.length === 1)
  if (alone.length === 0) return []
  const heads = sizes.flatMap((n) => [`n=${n}: seeds`, 'with a lie', 'failed', 'view changes', 'cost'])
  const names = [...new Set(alone.map((cell) => cell.names?.[0] ?? ''))]
  const figures = (cell: CellResult | undefined) =>
    cell === undefined
      ? ['', '', '', '', '']
      : [
          `${cell.runs}`,
          `${cell.lied}`,
          `${cell.failures.length}`,
          cell.viewChanges.toFixed(2),
          costText(cell.cost),
        ]
  const none = sizes.flatMap((n) => {
    const base = honest.find(({ replicas }) => replicas === n)
    return base === undefined
      ? ['', '', '', '', '']
      : [`${base.runs}`, '', '', base.viewChanges.toFixed(2), '1.00']
  })
  return [
    row(['behaviour', ...heads]),
    row(['---', ...heads.map(() => '---:')]),
    row(['(no liar)', ...none]),
    ...names.map((name) =>
      row([
        name,
        ...sizes.flatMap((n) =>
          figures(alone.find((cell) => cell.names?.[0] === name && cell.replicas === n)),
        ),
      ]),
    ),
  ]
}

const costText = (cost: number | null): string => (cost === null ? '' : cost.toFixed(2))

const WORST = 3

function pairLines({ cells }: AdversariesResult, replicas: number): string[] {
  const pairs = cells.filter((cell) => cell.replicas === replicas && cell.names?.length === 2)
  if (pairs.length === 0) return []
  const runs = pairs.reduce((sum, cell) => sum + cell.runs, 0)
  const failed = pairs.reduce((sum, { failures }) => sum + failures.length, 0)
  const worst = pairs.toSorted((a, b) => (b.cost ?? 0) - (a.cost ?? 0)).slice(0, WORST)
  const named = worst.map(({ names, cost }) => `${names?.join(' + ')} (${costText(cost)})`)
  return [
    `Pairs, n=${replicas}: ${pairs.length} pairs, ${runs} runs, ${failed} failed. Dearest: ${named.join(', ')}.`,
  ]
}

function swarmLines({ cells }: AdversariesResult, replicas: number): string[] {
  return cells
    .filter((cell) => cell.replicas === replicas && cell.names === null)
    .map(({ runs, failures }) => `Swarm, n=${replicas}: ${runs} runs, ${failures.length} failed.`)
}

const failureLines = ({ cells }: AdversariesResult): string[] =>
  cells.flatMap(({ failures }) =>
    failures.map(
      ({ kind, message, command }) => `FAILED: ${kind}: ${message.split('\n')[0]}. Again: ${command}`,
    ),
  )
