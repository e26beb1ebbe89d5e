import type { Place } from '../scenario.ts'

/** One thing that is wrong with a file: what was found there, and what was expected. */
export type Problem = Place & { readonly what: string }

/** A scenario file that is wrong: a line for each problem, `FILE:LINE:COLUMN: what`, all of them. */
export class ScenarioError extends Error {
  override name = 'ScenarioError'
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    super(problems.map(({ line, column, what }) => `${file}:${line}:${column}: ${what}`).join('\n'))
    this.problems = problems
  }
}

/** Gathers what is wrong while reading goes on, so that everything is said at once. */
export class Problems {
  readonly #found: Problem[] = []

  add(at: Place, what: string): void {
    this.#found.push({ line: at.line, column: at.column, what })
  }

  /** In the order of the file. */
  get all(): readonly Problem[] {
    return [...this.#found].sort((a, b) => a.line - b.line || a.column - b.column)
  }
}

/** What stands somewhere, in quotes and cut to a readable length. */
export const found = (text: string): string => {
  const plain = text.replaceAll(/\s+/g, ' ').trim()
  return plain === ''
    ? 'nothing'
    : JSON.stringify(plain.length > SHOWN_MAX ? `${plain.slice(0, SHOWN_MAX)}...` : plain)
}
const SHOWN_MAX = 60
