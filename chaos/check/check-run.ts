import { type CheckReport, check } from './check.ts'
import { sourcesOfRun } from './run-sources.ts'

export type { CheckReport } from './check.ts'

/** Judges what a chaos run left in its directory. @throws NothingToCheckError where there is no genesis */
export async function checkRun(directory: string): Promise<CheckReport> {
  const { sources } = await sourcesOfRun(directory)
  return check(sources)
}
