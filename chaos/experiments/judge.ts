import type { Genesis } from '../../protocol/config.ts'
import { type Comparison, compareDatabases } from '../check/compare-databases.ts'
import { openDatabases } from '../check/databases.ts'

/** What the checker says of a run; only 'pass' counts as accurate. */
export type Judgement = {
  readonly verdict: 'pass' | 'fail' | 'unknown'
  /** For people; empty when it passed. */
  readonly why: readonly string[]
}

/** Holds all databases of a cluster at rest against each other, row by row, and each against its own history. */
export async function judge({
  directory,
  genesis,
}: {
  readonly directory: string
  readonly genesis: Genesis
}): Promise<Judgement> {
  const { opened, unreachable } = await openDatabases(directory, genesis)
  try {
    const doubts = unreachable.map(({ replica, reason }) => `the database of replica ${replica}: ${reason}`)
    const positions = new Set(opened.map(({ snapshot }) => snapshot.position.lastExecuted))
    if (positions.size > 1) doubts.push(`the databases are at ${[...positions].join(', ')}`)
    if (opened.length === 0) return { verdict: 'unknown', why: doubts }
    const views = new Map(opened.map(({ replica, snapshot }) => [replica, snapshot]))
    const faults = faultsIn(await compareDatabases(views, genesis))
    if (faults.length > 0) return { verdict: 'fail', why: faults }
    return { verdict: doubts.length > 0 ? 'unknown' : 'pass', why: doubts }
  } finally {
    await Promise.all(opened.map(({ close }) => close()))
  }
}

const faultsIn = ({ differences, contradictions, reference }: Comparison): string[] => [
  ...differences.map(
    ({ replica, difference: { table, key, column } }) =>
      `replica ${replica} differs from replica ${reference} in table ${table}, row ${key}, column ${column ?? '(all)'}`,
  ),
  ...contradictions.map(
    ({ replica, contradiction: { table, key, column } }) =>
      `replica ${replica} contradicts its own history in table ${table}, row ${key}, column ${column ?? '(all)'}`,
  ),
]
