import type { Connected, Store } from '../../db/store.ts'
import type { Seq } from '../../protocol/types.ts'
import type { DatabaseState } from '../core/event.ts'

/** In sequence numbers; L is 2K. */
export type Intervals = { readonly checkpointInterval: number; readonly logWindow: number }

/** Connects, and says where the database stands. @throws StoreError */
export const readDatabase = async (store: Store, intervals: Intervals): Promise<DatabaseState> =>
  describeDatabase(store, await store.connect(), intervals)

/** What the core compares with its log. @throws StoreError */
export async function describeDatabase(
  store: Store,
  { lastExecuted, chain, lanes, incarnations }: Connected,
  { checkpointInterval, logWindow }: Intervals,
): Promise<DatabaseState> {
  const first = Math.max(1, lastExecuted - logWindow + 1)
  const seqs = Array.from({ length: lastExecuted - first + 1 }, (_, i) => (first + i) as Seq)
  const rows = (await Promise.all(seqs.map((seq) => store.chainAt(seq)))).filter((row) => row !== undefined)
  const boundary = lastExecuted - (lastExecuted % checkpointInterval)
  const checkpoint = rows.find(({ seq }) => seq === boundary)
  return {
    lastExecuted,
    chain,
    recent: rows.map(({ seq, batchDigest }) => ({ seq, batchDigest })),
    checkpoint: checkpoint === undefined ? null : { seq: checkpoint.seq, chain: checkpoint.chain },
    lanes,
    incarnations,
  }
}
