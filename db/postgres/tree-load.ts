import type { RowMark } from '../state-tree/place.ts'
import { STATE_TABLES } from '../state-tree/state-row.ts'
import { StateTree } from '../state-tree/state-tree.ts'
import type { Session } from './session.ts'
import { isMisplaced, type StoredRow, storedRow } from './stored-rows.ts'
import { STORED } from './tables.ts'

const ROWS_PER_FETCH = 2_000

export type LoadedTree = {
  readonly tree: StateTree
  /** [CP6] Rows whose path is not that of their key. */
  readonly misplaced: readonly StoredRow[]
}

/** [CP2] The tree over all rows as they are, read once and in pages. `session` is in a transaction with one snapshot. */
export async function loadTree(session: Session): Promise<LoadedTree> {
  let tree = StateTree.empty
  const misplaced: StoredRow[] = []
  for (const table of STATE_TABLES) {
    // By path, so that a page goes into a few nodes of the tree.
    await session.rows({
      text: `declare rows_of_${table} no scroll cursor for select ${STORED[table]} from ${table} order by path`,
    })
    const fetch = () => session.rows({ text: `fetch ${ROWS_PER_FETCH} from rows_of_${table}` })
    for (let next = fetch(); ; ) {
      const page = await next
      const isLast = page.length < ROWS_PER_FETCH
      // The server reads the next page while this one is hashed.
      if (!isLast) next = fetch()
      const marks: RowMark[] = []
      for (const row of page) {
        const stored = storedRow(table, row)
        marks.push(stored.mark)
        if (isMisplaced(stored)) misplaced.push(stored)
      }
      tree = tree.changed(marks)
      if (isLast) break
    }
    await session.rows({ text: `close rows_of_${table}` })
  }
  return { tree, misplaced }
}
