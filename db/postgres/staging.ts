import type { LedgerEntry, Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { TableName, Tables } from '../columns.ts'
import { rowsOfEntry } from '../state-machine/ledger-entry.ts'
import { decodeRows, type MarkedRow } from '../state-tree/partition-node.ts'
import { type Place, ROOT, type RowChange, rangeOf } from '../state-tree/place.ts'
import { STATE_TABLES, type StateTable } from '../state-tree/state-row.ts'
import { differingChildren, type StateTree } from '../state-tree/state-tree.ts'
import { StoreError, type TransferTarget } from '../store.ts'
import { int8Array } from './arrays.ts'
import { CELLS, PLACED_CELLS, type Placed } from './cells.ts'
import { type RowTypeOids, rowArray } from './row-arrays.ts'
import type { Session } from './session.ts'
import { type HistorySegment, StagedHistory } from './staged-history.ts'
import { digestAt, STORED } from './tables.ts'

/** What is staged in memory before it is written: neither a statement per partition, nor all of it. */
const BUFFERED_BYTES_MAX = 1 << 20

const STAGED_TABLES = [...STATE_TABLES, 'transfers', 'chain'] as const
const TRUNCATE = `truncate staged_ranges, ${STAGED_TABLES.map((table) => `staged_${table}`).join(', ')}`

/** What is here, below and beside what is staged. */
export type Ground = {
  readonly writer: Session
  readonly oids: RowTypeOids
  /** History below this seq is as it was executed. */
  readonly soundBelow: number
  /** The chain here, also at 0. */
  readonly chainAt: (seq: Seq) => Promise<Digest | undefined>
}

/**
 * [CP4] A transfer under way. Whole partitions of the target's tree are laid over the tree here, and their rows are
 * written beside the tables: what is over the tree always is what is staged, so that after a move of the target only
 * what differs then is wanted again.
 */
export class Staging {
  readonly #ground: Ground
  #target: TransferTarget
  #tree: StateTree
  /** Partitions whose rows are not written yet; no two overlap. */
  #buffer = new Map<Partition, readonly MarkedRow[]>()
  #bufferedBytes = 0
  /** What the buffer does to the tree: at once, since each partition alone would hash its way to the root again. */
  #changes: RowChange[] = []
  /** Of the write before; its failure shows at the next one. */
  #writing: Promise<void> = Promise.resolve()
  readonly #history = new StagedHistory()
  /** Of an earlier target there may be rows where newer ones go. */
  #moved = false

  private constructor(ground: Ground, args: { readonly target: TransferTarget; readonly tree: StateTree }) {
    this.#ground = ground
    this.#target = args.target
    this.#tree = args.tree
  }

  static async begin(
    ground: Ground,
    args: { readonly target: TransferTarget; readonly tree: StateTree },
  ): Promise<Staging> {
    await ground.writer.rows({ text: TRUNCATE })
    return new Staging(ground, args)
  }

  get target(): TransferTarget {
    return this.#target
  }

  /** After finish(): the target's. */
  get tree(): StateTree {
    return this.#tree
  }

  /** The partitions to fetch first. */
  get wanted(): readonly Partition[] {
    return this.#tree.root === this.#target.stateRoot ? [] : [ROOT]
  }

  async move(target: TransferTarget): Promise<void> {
    await this.#flush()
    this.#target = target
    this.#moved = true
    this.#history.endAt(target.seq)
  }

  /** Whether the chain at the target is neither here nor staged down to what is here. */
  async lacksHistory(): Promise<boolean> {
    const { seq, chain } = this.#target
    if (seq < this.#ground.soundBelow && (await this.#ground.chainAt(seq)) === chain) return false
    const segment = this.#history.ending({ seq, chain })
    return segment === undefined || !(await this.#isGrounded(segment))
  }

  async stage(partition: Partition, node: PartitionNode): Promise<readonly Partition[]> {
    if (node.kind === 'inner') {
      const differing = differingChildren(this.#tree, partition, node.children)
      for (const child of differing) {
        if (child.digest === null) await this.#replace(child.partition, [], 0)
      }
      return differing.filter(({ digest }) => digest !== null).map((child) => child.partition)
    }
    const decoded = decodeRows(node.rows, partition)
    if (decoded === undefined) throw new StoreError('broken', `a node that is not of partition ${partition}`)
    await this.#replace(partition, decoded, node.rows.length)
    return []
  }

  async stageHistory(entries: readonly LedgerEntry[]): Promise<boolean> {
    const read = entries.map(rowsOfEntry)
    const [newest, oldest] = [read[0]?.row, entries.at(-1)]
    if (newest === undefined || oldest === undefined) return false
    const values = [String(oldest.seq), String(newest.seq)]
    const { writer } = this.#ground
    const before = await writer.rows({
      text: 'select seq, chain from staged_chain where seq in ($1::bigint - 1, $2::bigint)',
      values,
    })
    const chainOf = (seq: number) => before.find((row) => Number(row[0]) === seq)
    const [below, atTop] = [chainOf(oldest.seq - 1), chainOf(newest.seq)].map(
      (row) => row && digestAt(row, 1),
    )
    await Promise.all([
      writer.rows({ text: 'delete from staged_chain where seq between $1::bigint and $2::bigint', values }),
      writer.rows({
        text: 'delete from staged_transfers where seq between $1::bigint and $2::bigint',
        values,
      }),
      this.#insertHistory(
        'chain',
        read.map(({ row }) => row),
      ),
      this.#insertHistory(
        'transfers',
        read.flatMap(({ transfers }) => transfers),
      ),
    ])
    const { seq: top, chain } = newest
    const staged = { top, chain, low: oldest.seq, previous: oldest.previous }
    return this.#isGrounded(this.#history.add(staged, { below, atTop }))
  }

  /** Whether the history here goes on right below the segment, and is sound. */
  async #isGrounded({ low, previous }: HistorySegment): Promise<boolean> {
    return low <= this.#ground.soundBelow && (await this.#ground.chainAt((low - 1) as Seq)) === previous
  }

  /** Writes what is left. Undefined while not all of the target is staged or here. */
  async finish(): Promise<{ readonly ancestor: Seq } | undefined> {
    await this.#flush()
    await this.#writing
    if (this.#tree.root !== this.#target.stateRoot || (await this.lacksHistory())) return undefined
    const { seq, chain } = this.#target
    const segment = this.#history.ending({ seq, chain })
    return { ancestor: segment === undefined ? seq : ((segment.low - 1) as Seq) }
  }

  async discard(): Promise<void> {
    await this.#writing
    await this.#ground.writer.rows({ text: TRUNCATE })
  }

  async #replace(partition: Partition, rows: readonly MarkedRow[], bytes: number): Promise<void> {
    const isStaged = (place: Place) => rows.some(({ mark }) => mark.place === place)
    for (const { place } of this.#tree.marksAt(partition)) {
      if (!isStaged(place)) this.#changes.push({ place, digest: null })
    }
    for (const { mark } of rows) this.#changes.push(mark)
    this.#buffer.set(partition, rows)
    this.#bufferedBytes += bytes
    if (this.#bufferedBytes >= BUFFERED_BYTES_MAX) await this.#flush()
  }

  /** Hands the buffer to the write, once the one before is done: at most two buffers are in memory. */
  async #flush(): Promise<void> {
    const buffer = this.#buffer
    this.#tree = this.#tree.changed(this.#changes)
    this.#changes = []
    this.#buffer = new Map()
    this.#bufferedBytes = 0
    await this.#writing
    if (buffer.size === 0) return
    this.#writing = this.#write(buffer)
    // Whoever awaits #writing learns of it.
    this.#writing.catch(() => undefined)
  }

  async #write(buffer: ReadonlyMap<Partition, readonly MarkedRow[]>): Promise<void> {
    const { writer } = this.#ground
    const ranges = [...buffer.keys()].map(rangeOf)
    const values = [int8Array(ranges.map(({ from }) => from)), int8Array(ranges.map(({ to }) => to))]
    const staged = [...buffer.values()].flat()
    const statements: Promise<unknown>[] = [
      writer.rows({
        text: `insert into staged_ranges select * from unnest($1::bigint[], $2::bigint[])
          on conflict (low) do update set high = greatest(staged_ranges.high, excluded.high)`,
        values,
      }),
    ]
    for (const table of STATE_TABLES) {
      if (this.#moved) {
        statements.push(
          writer.rows({
            text: `delete from staged_${table} t using unnest($1::bigint[], $2::bigint[]) as u (low, high)
              where t.path between u.low and u.high`,
            values,
          }),
        )
      }
      statements.push(this.#insertPlaced(table, rowsOf(staged, table)))
    }
    await Promise.all(statements)
  }

  async #insertPlaced<T extends StateTable>(table: T, rows: readonly Placed<Tables[T]>[]): Promise<void> {
    if (rows.length === 0) return
    await this.#insert(table, rowArray(this.#ground.oids[table], PLACED_CELLS[table], rows))
  }

  async #insertHistory<T extends 'transfers' | 'chain'>(table: T, rows: readonly Tables[T][]): Promise<void> {
    if (rows.length === 0) return
    await this.#insert(table, rowArray(this.#ground.oids[table], CELLS[table], rows))
  }

  async #insert(table: TableName, rows: Buffer): Promise<void> {
    await this.#ground.writer.rows({
      name: `stage-${table}`,
      text: `insert into staged_${table} (${STORED[table]}) select ${STORED[table]} from unnest($1::${table}[])`,
      values: [rows],
    })
  }
}

const rowsOf = <T extends StateTable>(rows: readonly MarkedRow[], table: T): Placed<Tables[T]>[] =>
  rows.flatMap(({ row, mark }) =>
    row.table === table ? [{ row: row.row as Tables[T], place: mark.place }] : [],
  )
