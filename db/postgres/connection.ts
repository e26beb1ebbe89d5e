import type { Genesis } from '../../protocol/config.ts'
import type { PrincipalId, ReplicaId } from '../../protocol/types.ts'
import type { ClientRow, PrincipalRow } from '../rows.ts'
import { laneKey } from '../rows.ts'
import { laneEntryOf } from '../state-machine/apply.ts'
import type { Connected, Incarnation, Position } from '../store.ts'
import { AccountCache } from './account-cache.ts'
import { storeError } from './errors.ts'
import { HeldStates } from './held-states.ts'
import { KeptTree } from './kept-tree.ts'
import type { KeptRows } from './load.ts'
import { CoalescedReads } from './reads.ts'
import { type RowTypeOids, rowTypeOids } from './row-arrays.ts'
import { Session } from './session.ts'
import type { Staging } from './staging.ts'
import { COLUMNS, clientFrom, principalFrom } from './tables.ts'
import { takeOver } from './takeover.ts'
import { loadTree } from './tree-load.ts'

/** Whatever the server's defaults are: nothing here waits, and nothing may be ended for idling. */
const PATIENT = {
  statement_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  synchronous_commit: 'on',
}
/**
 * Statements are prepared once, and their arrays are short against the tables, which may never have been analysed:
 * the plan is by index, always.
 */
const BY_INDEX = {
  ...PATIENT,
  jit: 'off',
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
}
/** [D4] The vote log redoes what a crash takes back, so only a durable run waits for the disk. */
const WRITING = { ...BY_INDEX, synchronous_commit: 'off' }

/** What changes with every run, and what an installed state replaces. */
export type Kept = KeptRows & {
  readonly clients: Map<number, ClientRow>
  readonly principals: Map<PrincipalId, PrincipalRow>
}

/** All that one connect() opened and learned; dropped as a whole when anything of it fails. */
export type Connection = {
  /** Holds the advisory lock. */
  readonly keeper: Session
  readonly writer: Session
  readonly reader: Session
  readonly reads: CoalescedReads
  readonly held: HeldStates
  readonly epoch: string
  readonly oids: RowTypeOids
  kept: Kept
  tree: KeptTree
  position: Position
  /** [CP4] Under way. */
  transfer: Staging | null
  /** [CP6] History at this seq was found not to be as it was executed; null: nothing is known against it. */
  damagedFrom: number | null
}

export type ConnectionOptions = {
  readonly url: string
  readonly genesis: Genesis
  readonly replica: ReplicaId
  readonly onCheckpointsLost: () => void
}

/** Takes the database over [D3] and reads what this process keeps of it. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { url, genesis, replica, onCheckpointsLost } = options
  const applicationName = `pbft replica ${replica}, process ${process.pid}`
  const opened: { close(): Promise<void> }[] = []
  const open = async (settings: Readonly<Record<string, string>>): Promise<Session> => {
    const session = await Session.open({ url, applicationName, settings })
    opened.push(session)
    return session
  }
  try {
    const keeper = await open(PATIENT)
    const { epoch, ...position } = await takeOver({ session: keeper, genesis, replica })
    const kept = await loadKept(keeper)
    const oids = await rowTypeOids(keeper)
    const writer = await open(WRITING)
    const reader = await open(BY_INDEX)
    const held = new HeldStates({
      open: () => Session.open({ url, applicationName, settings: BY_INDEX }),
      onLost: onCheckpointsLost,
    })
    opened.push(held)
    const { tree } = await held.withSnapshot(loadTree)
    const reads = new CoalescedReads(reader)
    const sessions = { keeper, writer, reader, reads, held }
    return {
      ...sessions,
      epoch,
      oids,
      kept,
      position,
      tree: new KeptTree(tree),
      transfer: null,
      damagedFrom: null,
    }
  } catch (error) {
    await Promise.all(opened.map((one) => one.close()))
    throw storeError(error, 'taking the database over')
  }
}

/** The lock last: whoever gets it finds nobody at work. */
export async function closeConnection({ keeper, writer, reader, held, tree }: Connection): Promise<void> {
  tree.stop()
  await Promise.all([writer.close(), reader.close(), held.close()])
  await keeper.close()
}

export async function loadKept(session: Session): Promise<Kept> {
  const principals = await session.rows({ text: `select ${COLUMNS.principals} from principals order by id` })
  const clients = await session.rows({
    text: `select ${COLUMNS.client_table} from client_table order by client, lane`,
  })
  return {
    accounts: new AccountCache(),
    principals: new Map(principals.map((row) => principalFrom(row)).map((row) => [row.id, row])),
    clients: new Map(
      clients.map((row) => clientFrom(row)).map((row) => [laneKey(row.client, row.lane), row]),
    ),
  }
}

export function connectedAs({ position, kept }: Pick<Connection, 'position' | 'kept'>): Connected {
  return {
    ...position,
    lanes: [...kept.clients.values()].filter(({ real, lookup }) => real ?? lookup).map(laneEntryOf),
    incarnations: [...kept.principals.values()].flatMap(incarnationOf),
  }
}

/** [D5] Of a replica that ever recovered. */
function incarnationOf({ id, role, incarnation, incarnationView, version }: PrincipalRow): Incarnation[] {
  if (role !== 'replica' || incarnation === 0) return []
  return [{ replica: id as number as ReplicaId, incarnation, view: incarnationView, seq: version }]
}
