import type { Genesis } from '../../../protocol/config.ts'
import { compareDatabases } from '../compare-databases.ts'
import { describeComparison } from '../describe-comparison.ts'
import type { DumpedDatabase } from '../dump/dumped-database.ts'
import type { Tally } from '../tally.ts'

/** Where no model can tell: the databases are held against each other row for row, and each against its own history. */
export async function compareWithoutModel(
  databases: readonly DumpedDatabase[],
  { genesis, tally }: { readonly genesis: Genesis; readonly tally: Tally },
): Promise<void> {
  try {
    const views = new Map(databases.map((database) => [database.meta.replica, database]))
    const comparison = await compareDatabases(views, genesis)
    for (const { replica, text } of describeComparison(comparison)) {
      tally.found({ what: text, seq: null, replicas: [replica] })
    }
    for (let seq = 1; seq <= comparison.seq; seq++) tally.looked(seq)
  } catch (error) {
    tally.doubt(error instanceof Error ? error.message : String(error))
  }
}
