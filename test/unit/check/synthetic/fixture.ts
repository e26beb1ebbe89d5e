import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckReport } from '../../../../chaos/check/check.ts'
import { checkRun } from '../../../../chaos/check/check-run.ts'
import type { Finding, PropertyName, PropertyReport } from '../../../../chaos/check/finding.ts'
import { runPaths } from '../../../../chaos/run/layout.ts'
import { databaseFile, makeRun, type SyntheticOptions } from './run.ts'

/** Directories of imitated runs, removed when the tests are over. */
export class Runs {
  readonly #parent = mkdtempSync(join(tmpdir(), 'pbft-check-test-'))
  #count = 0

  remove(): void {
    rmSync(this.#parent, { recursive: true, force: true })
  }

  async make(options: SyntheticOptions): Promise<string> {
    const directory = join(this.#parent, `${++this.#count}`)
    await makeRun(directory, options)
    return directory
  }

  copy(of: string): string {
    const directory = join(this.#parent, `${++this.#count}`)
    cpSync(of, directory, { recursive: true })
    return directory
  }
}

export function editText(path: string, change: (text: string) => string): void {
  const before = readFileSync(path, 'utf8')
  const after = change(before)
  if (after === before) throw new Error(`${path}: nothing was changed`)
  writeFileSync(path, after)
}

/** Changes the lines of one table of one replica's database. */
export const editTable = (
  run: string,
  [replica, table]: readonly [number, Parameters<typeof databaseFile>[2]],
  change: (lines: string[]) => readonly string[],
): void =>
  editText(databaseFile(run, replica, table), (text) => {
    const lines = change(text.split('\n').slice(0, -1))
    return lines.map((line) => `${line}\n`).join('')
  })

/** The line that `isWanted` with its `column`-th cell changed. */
export const editCell =
  (isWanted: (cells: string[]) => boolean, column: number, change: (cell: string) => string) =>
  (lines: string[]): string[] =>
    lines.map((line) => {
      const cells = line.split('\t')
      if (!isWanted(cells)) return line
      cells[column] = change(cells[column] ?? '')
      return cells.join('\t')
    })

export const editHistory = (run: string, change: (lines: string[]) => readonly string[]): void =>
  editText(runPaths(run).history, (text) => `${change(text.split('\n').slice(0, -1)).join('\n')}\n`)

export async function judged(run: string): Promise<CheckReport> {
  return checkRun(run)
}

export function propertyOf(
  { properties }: Pick<CheckReport, 'properties'>,
  name: PropertyName,
): PropertyReport {
  const found = properties.find(({ property }) => property === name)
  if (found === undefined) throw new Error(`no report of ${name}`)
  return found
}

/** Names of the properties that failed. */
export const failuresOf = ({ properties }: CheckReport): PropertyName[] =>
  properties.filter(({ verdict }) => verdict === 'fail').map(({ property }) => property)

/** What was found of one property, with what explains it, as text. */
export const textOf = (report: CheckReport, name: PropertyName): string =>
  propertyOf(report, name)
    .findings.flatMap(({ what, details }: Finding) => [what, ...details])
    .join('\n')
