import type { Genesis } from '../../protocol/config.ts'
import type { ReplicaId, Seq } from '../../protocol/types.ts'
import { digestToBytes } from '../../protocol/types.ts'
import { genesisRows } from '../genesis-rows.ts'
import type { Position } from '../store.ts'
import { StoreError } from '../store.ts'
import { CELLS } from './cells.ts'
import { migrate } from './migrate.ts'
import { rowArray, rowTypeOids } from './row-arrays.ts'
import { column, type Session } from './session.ts'
import { digestAt, STORED } from './tables.ts'

/** 'pbftledg': one lock per database, held as long as its session lives. */
const LOCK_KEY = 0x70_62_66_74_6c_65_64_67n
/** A killed process' lock is gone once its server process noticed, so waiting a little is not waiting for it. */
const LOCK_WAIT_MS = 3_000

export type Takeover = { readonly session: Session; readonly genesis: Genesis; readonly replica: ReplicaId }

/**
 * [D3] Makes this process the only one that executes here: checks whose database it is, takes the lock, brings the
 * schema and genesis where they are missing, and raises the epoch. Each step can be killed and done again.
 * @throws StoreError 'foreign', 'locked', 'broken'
 */
export async function takeOver(args: Takeover): Promise<Position & { readonly epoch: string }> {
  await requireFsync(args.session)
  await requireOurs(args)
  await lock(args.session)
  await migrate(args.session)
  await applyGenesis(args)
  await requireOurs(args)
  const [row] = await args.session.rows({
    text: 'update meta set epoch = epoch + 1 returning last_executed, chain, epoch',
  })
  if (row === undefined) throw new StoreError('broken', 'the table meta is empty')
  return {
    lastExecuted: Number(column(row, 0)) as Seq,
    chain: digestAt(row, 1),
    epoch: column(row, 2),
  }
}

/** [D4] A COMMIT that did not reach the disk would prove nothing. */
async function requireFsync(session: Session): Promise<void> {
  const [row] = await session.rows({
    text: `select current_setting('fsync'), current_setting('full_page_writes')`,
  })
  if (row?.[0] === 'on' && row[1] === 'on') return
  throw new StoreError(
    'broken',
    'the database server runs with fsync or full_page_writes off, and would lose what was acknowledged at a power ' +
      'cut: set fsync = on and full_page_writes = on in its postgresql.conf and restart it',
  )
}

async function requireOurs({ session, genesis, replica }: Takeover): Promise<void> {
  const [found] = await session.rows({ text: `select to_regclass('meta')` })
  if (found?.[0] === null) return
  const [row] = await session.rows({ text: 'select genesis_digest, replica from meta' })
  if (row === undefined) return
  if (digestAt(row, 0) !== genesis.digest) {
    throw new StoreError(
      'foreign',
      'the database belongs to another cluster (its genesis differs): give this replica an empty database of its own',
    )
  }
  if (Number(column(row, 1)) !== replica) {
    throw new StoreError(
      'foreign',
      `the database belongs to replica ${column(row, 1)} of this cluster: give replica ${replica} one of its own`,
    )
  }
}

async function lock(session: Session): Promise<void> {
  await session.rows({ text: `set lock_timeout = '${LOCK_WAIT_MS}ms'` })
  try {
    await session.rows({ text: `select pg_advisory_lock(${LOCK_KEY})` })
  } catch (cause) {
    const holder = await lockHolder(session)
    if (holder === undefined) throw cause
    throw new StoreError(
      'locked',
      `another process uses this database (${holder}): stop it, or give this replica a database of its own`,
      { cause },
    )
  }
  await session.rows({ text: 'reset lock_timeout' })
}

async function lockHolder(session: Session): Promise<string | undefined> {
  const [row] = await session.rows({
    text: `select a.application_name from pg_locks l join pg_stat_activity a using (pid)
      where l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and (l.classid::bigint << 32) + l.objid::bigint = ${LOCK_KEY}
        and l.database = (select oid from pg_database where datname = current_database())`,
  })
  return row === undefined ? undefined : (row[0] ?? 'unnamed')
}

/**
 * A page is pruned at an access that finds less room than the fill factor leaves, and pruning walks all of its rows. On
 * pages that were filled to less than that, some dozens of updates share one pruning: an eighth of a batch's cost.
 */
const GENESIS_WRITTEN = 'alter table accounts set (fillfactor = 70)'

/** The state at seq 0, in one transaction that ends with the row of `meta`: without that row nothing happened. */
async function applyGenesis({ session, genesis, replica }: Takeover): Promise<void> {
  const [existing] = await session.rows({ text: 'select 1 from meta' })
  if (existing !== undefined) return
  const rows = genesisRows(genesis)
  const oids = await rowTypeOids(session)
  const digest = digestToBytes(genesis.digest)
  const insert = (table: keyof typeof rows, n: number) =>
    `insert into ${table} (${STORED[table]}) select ${STORED[table]} from unnest($${n}::${table}[])`
  await session.rows({
    text: `with a as (${insert('accounts', 1)}), c as (${insert('customers', 2)}), p as (${insert('principals', 3)})
      insert into meta (one, cluster_id, genesis_digest, replica, last_executed, chain, epoch)
      values (true, $4::bytea, $5::bytea, $6::integer, 0, $5::bytea, 0)`,
    values: [
      rowArray(oids.accounts, CELLS.accounts, rows.accounts),
      rowArray(oids.customers, CELLS.customers, rows.customers),
      rowArray(oids.principals, CELLS.principals, rows.principals),
      Buffer.from(genesis.clusterId, 'hex'),
      digest,
      String(replica),
    ],
  })
  await session.rows({ text: GENESIS_WRITTEN })
}
