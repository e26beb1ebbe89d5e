import type { Partition } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { ChainRow } from '../rows.ts'
import type { RowMismatch, TransferTarget } from '../store.ts'
import { type Connection, loadKept } from './connection.ts'
import { checkHistory } from './history.ts'
import { install } from './install.ts'
import { KeptTree } from './kept-tree.ts'
import type { Session } from './session.ts'
import { Staging } from './staging.ts'
import type { StoredRow } from './stored-rows.ts'
import { COLUMNS, chainFrom } from './tables.ts'
import { loadTree } from './tree-load.ts'

/** [CP4] Begins a transfer, or moves the one under way. After a rescan nothing is staged any more. */
export async function beginTransfer(
  connection: Connection,
  args: { readonly target: TransferTarget; readonly rescan: boolean; readonly genesis: Digest },
): Promise<{ readonly partitions: readonly Partition[]; readonly history: boolean }> {
  const { target, rescan, genesis } = args
  const misplaced = rescan ? await readAnew(connection, genesis) : []
  if (rescan) await connection.transfer?.discard()
  if (connection.transfer === null || rescan) {
    connection.transfer = await begun(connection, { target, genesis, misplaced })
  } else {
    await connection.transfer.move(target)
  }
  const staging = connection.transfer
  return { partitions: staging.wanted, history: await staging.lacksHistory() }
}

/** [CP6] The rows as they are now, and whether the history is what the chain says. Returns the misplaced rows. */
async function readAnew(connection: Connection, genesis: Digest): Promise<readonly StoredRow[]> {
  return connection.held.withSnapshot(async (session) => {
    const { tree, misplaced } = await loadTree(session)
    connection.tree = new KeptTree(tree)
    const range = { from: 1, to: connection.position.lastExecuted }
    const { soundBelow } = await checkHistory(session, { ...range, genesis, mismatchesMax: 1 })
    if (soundBelow <= range.to) connection.damagedFrom = soundBelow
    return misplaced
  })
}

async function begun(
  connection: Connection,
  args: {
    readonly target: TransferTarget
    readonly genesis: Digest
    readonly misplaced: readonly StoredRow[]
  },
): Promise<Staging> {
  const { target, genesis, misplaced } = args
  const { writer, reader, oids, position, damagedFrom } = connection
  const soundBelow = damagedFrom ?? position.lastExecuted + 1
  const chainAt = async (seq: Seq) => (seq === 0 ? genesis : (await readChainRow(reader, seq))?.chain)
  return Staging.begin(
    { writer, oids, lastExecuted: position.lastExecuted, misplaced, soundBelow, chainAt },
    { target, tree: await connection.tree.current() },
  )
}

/**
 * [CP4] Installs what is staged; the connection then stands at the target. Returns the rows that no batch explains;
 * undefined, and nothing is changed, when something is missing.
 */
export async function installTransfer(
  connection: Connection,
  staging: Staging,
): Promise<readonly RowMismatch[] | undefined> {
  const { writer, reader, epoch, position: from } = connection
  const finished = await staging.finish()
  if (finished === undefined) return undefined
  const { target, tree } = staging
  const { ancestor, repaired } = finished
  const rewritten = await install({ writer, epoch, from, target, ancestor })
  connection.position = { lastExecuted: target.seq, chain: target.chain }
  connection.kept = await loadKept(reader)
  connection.tree = new KeptTree(tree)
  connection.transfer = null
  connection.damagedFrom = null
  return [...repaired, ...rewritten]
}

export async function readChainRow(reader: Session, seq: Seq): Promise<ChainRow | undefined> {
  const [row] = await reader.rows({
    name: 'chain-at',
    text: `select ${COLUMNS.chain} from chain where seq = $1::bigint`,
    values: [String(seq)],
  })
  return row && chainFrom(row)
}
