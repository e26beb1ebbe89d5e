import { digestOf } from '../protocol/crypto.ts'
import type { Digest, Seq } from '../protocol/types.ts'
import { digestToBytes } from '../protocol/types.ts'
import { HISTORICAL_TABLES, TABLES, type TableName, type TableSource } from './columns.ts'

/** How many rows are hashed at once; part of the digest's definition. */
const ROWS_PER_BLOCK = 512

/**
 * A digest of the rows themselves, recomputed by reading them all: databases whose rows are equal at `seq`, and only
 * those, have the same. By default over the tables that can be told for any seq that the snapshot has reached; the
 * others belong in it only where `seq` is every database's lastExecuted.
 */
export async function stateDigest(
  source: TableSource,
  seq: Seq,
  tables: readonly TableName[] = HISTORICAL_TABLES,
): Promise<Digest> {
  let digest = digestOf(Buffer.from(`pbft-ledger rows ${tables.join(' ')}`, 'latin1'))
  for (const table of tables) digest = await tableDigest(source, table, { seq, digest })
  return digest
}

async function tableDigest<T extends TableName>(
  source: TableSource,
  table: T,
  from: { readonly seq: Seq; readonly digest: Digest },
): Promise<Digest> {
  const { columns } = TABLES[table]
  let digest = digestOf(digestToBytes(from.digest), Buffer.from(table, 'latin1'))
  let block: (string | null)[][] = []
  const close = () => {
    // JSON quotes and separates, so that no two blocks print alike.
    digest = digestOf(digestToBytes(digest), Buffer.from(JSON.stringify(block), 'utf8'))
    block = []
  }
  for await (const row of source.rows(table, from.seq)) {
    block.push(columns.map(({ text }) => text(row)))
    if (block.length === ROWS_PER_BLOCK) close()
  }
  close()
  return digest
}
