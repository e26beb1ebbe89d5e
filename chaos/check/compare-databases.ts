import { CURRENT_TABLES, type TableName, type TableSource, type Tables } from '../../db/columns.ts'
import { type Difference, firstDifference } from '../../db/compare.ts'
import { stateDigest } from '../../db/state-digest.ts'
import type { Position } from '../../db/store.ts'
import type { Genesis } from '../../protocol/config.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import { type Contradiction, selfAudit } from './self-audit.ts'

/** One consistent snapshot of a replica's database. */
export type DatabaseView = TableSource & { readonly position: Position }

export type ComparedDatabase = {
  readonly replica: number
  readonly lastExecuted: Seq
  /** Recomputed from the rows of accounts, transfers and chain at the common sequence number. */
  readonly digest: Digest
}

export type Comparison = {
  /** The highest that every database has executed. */
  readonly seq: Seq
  readonly databases: readonly ComparedDatabase[]
  /** What the others are held against: one of those that most databases are equal to. */
  readonly reference: number
  /** The first difference of each replica's database from the reference; `values` are the reference's and its own. */
  readonly differences: readonly { readonly replica: number; readonly difference: Difference }[]
  /** Databases that contradict themselves; of databases with equal rows, one is named. */
  readonly contradictions: readonly { readonly replica: number; readonly contradiction: Contradiction }[]
}

/**
 * Holds databases against each other at the highest sequence number that all have executed, each as its rows say.
 * @param views at least one, by replica
 */
export async function compareDatabases(
  views: ReadonlyMap<number, DatabaseView>,
  genesis: Genesis,
): Promise<Comparison> {
  const seq = Math.min(...[...views.values()].map(({ position }) => position.lastExecuted)) as Seq
  const databases = await Promise.all(
    [...views].map(async ([replica, view]) => ({
      replica,
      lastExecuted: view.position.lastExecuted,
      digest: await stateDigest(view, seq),
    })),
  )
  const groups = [...Map.groupBy(databases, ({ digest }) => digest).values()].sort(
    (a, b) => b.length - a.length,
  )
  const contradictions = await Promise.all(
    groups.flatMap(([first]) => (first === undefined ? [] : [auditOne(views, { first, genesis, seq })])),
  )
  return {
    seq,
    databases,
    ...(await againstReference(views, { candidates: groups[0] ?? [], databases, seq })),
    contradictions: contradictions.filter((found) => found !== null),
  }
}

async function auditOne(
  views: ReadonlyMap<number, DatabaseView>,
  {
    first: { replica },
    genesis,
    seq,
  }: { readonly first: ComparedDatabase; readonly genesis: Genesis; readonly seq: Seq },
): Promise<Comparison['contradictions'][number] | null> {
  const contradiction = await selfAudit(viewOf(views, replica), { genesis, seq })
  return contradiction === null ? null : { replica, contradiction }
}

/**
 * Tables outside the digest may differ although digests agree, also in the database that was taken for reference:
 * the candidate that fewest databases differ from is the one.
 */
async function againstReference(
  views: ReadonlyMap<number, DatabaseView>,
  args: {
    readonly candidates: readonly ComparedDatabase[]
    readonly databases: readonly ComparedDatabase[]
    readonly seq: Seq
  },
): Promise<Pick<Comparison, 'reference' | 'differences'>> {
  let best: Pick<Comparison, 'reference' | 'differences'> | undefined
  for (const candidate of args.candidates) {
    const differences = await differencesFrom(candidate, { views, ...args })
    if (best === undefined || differences.length < best.differences.length) {
      best = { reference: candidate.replica, differences }
    }
    if (differences.length * 2 < args.databases.length) break
  }
  if (best === undefined) throw new RangeError('no databases to compare')
  return best
}

async function differencesFrom(
  reference: ComparedDatabase,
  args: {
    readonly views: ReadonlyMap<number, DatabaseView>
    readonly databases: readonly ComparedDatabase[]
    readonly seq: Seq
  },
): Promise<Comparison['differences']> {
  const others = args.databases.filter(({ replica }) => replica !== reference.replica)
  const found = await Promise.all(
    others.map(async ({ replica, digest }) => {
      const pair = [reference.replica, replica].map((id) => viewOf(args.views, id))
      // Equal digests settle the tables that they cover.
      const [a, b] = digest === reference.digest ? pair.map(currentTablesOf) : pair
      if (a === undefined || b === undefined) throw new Error('a pair has two parts')
      const difference = await firstDifference(a, b, args.seq)
      return difference === undefined ? [] : [{ replica, difference }]
    }),
  )
  return found.flat()
}

function viewOf(views: ReadonlyMap<number, DatabaseView>, replica: number): DatabaseView {
  const view = views.get(replica)
  if (view === undefined) throw new Error(`no database of replica ${replica}`)
  return view
}

const currentTablesOf = (source: TableSource): TableSource => ({
  rows: <T extends TableName>(table: T, seq: number): AsyncIterable<Tables[T]> =>
    CURRENT_TABLES.some((current) => current === table) ? source.rows(table, seq) : nothing(),
})

async function* nothing(): AsyncGenerator<never> {}
