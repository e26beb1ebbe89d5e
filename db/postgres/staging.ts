import type { LedgerEntry, Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'
import type { Tables } from '../columns.ts'
import { rowsOfEntry } from '../state-machine/ledger-entry.ts'
import { decodeRows, type MarkedRow } from '../state-tree/partition-node.ts'
import { PLACE_BYTES, type Place, ROOT, type RowChange, type RowMark } from '../state-tree/place.ts'
import { differingChildren, type StateTree } from '../state-tree/state-tree.ts'
import { type RowMismatch, StoreError, type TransferTarget } from '../store.ts'
import { CELLS } from './cells.ts'
import { EMPTY_STAGED } from './install.ts'
import { placeRows, putRightPaths } from './placed-rows.ts'
import { type RowTypeOids, rowArray } from './row-arrays.ts'
import type { Session } from './session.ts'
import { type HistorySegment, type StagedBefore, StagedHistory } from './staged-history.ts'
import { misplaced, type StoredRow } from './stored-rows.ts'
import { digestAt, STORED } from './tables.ts'

/** What is staged in memory before it is written: neither a statement per partition, nor all of it. */
const BUFFERED_BYTES_MAX = 1 << 19
/** More are repaired, and not named. */
const NAMED_MAX = 1_000

/** A partition's rows to write, and places of rows that go. */
type Replaced = { readonly rows: readonly MarkedRow[]; readonly gone: readonly Place[] }

/** What is here, below and beside what is staged. */
export type Ground = {
  readonly writer: Session
  readonly oids: RowTypeOids
  readonly lastExecuted: Seq
  /** Rows whose path is wrong. */
  readonly misplaced: readonly StoredRow[]
  /** History below this seq is as it was executed. */
  readonly soundBelow: number
  /** The chain here, also at 0. */
  readonly chainAt: (seq: Seq) => Promise<Digest | undefined>
}

/**
 * [CP4] A transfer under way: one transaction, which installing commits and cancelling rolls back. Whole partitions of
 * the target's tree are laid over the tree here, and their rows over the rows: what is over the tree always is what is
 * written, so that after a move of the target only what differs then is wanted again. Everybody else reads what was
 * there before. History waits beside its tables, since only the end tells where it goes on from what is here.
 */
export class Staging {
  readonly #ground: Ground
  #target: TransferTarget
  #tree: StateTree
  /**
   * Not written yet, and not in #tree: each partition alone would hash its way to the root again. Partitions that
   * overlap are of different targets, and so never in one buffer.
   */
  #buffer = new Map<Partition, Replaced>()
  #bufferedBytes = 0
  /** Of the write before; its failure shows at the next one. */
  #writing: Promise<void> = Promise.resolve()
  readonly #history = new StagedHistory()
  /** The highest of the targets before. */
  #stagedUpTo = 0
  readonly #repaired: RowMismatch[]

  private constructor(ground: Ground, args: { readonly target: TransferTarget; readonly tree: StateTree }) {
    this.#ground = ground
    this.#target = args.target
    this.#tree = args.tree
    this.#repaired = ground.misplaced.slice(0, NAMED_MAX).map(misplaced)
  }

  static async begin(
    ground: Ground,
    args: { readonly target: TransferTarget; readonly tree: StateTree },
  ): Promise<Staging> {
    await ground.writer.rows({ text: 'begin' })
    await ground.writer.rows({ text: EMPTY_STAGED })
    await putRightPaths(ground, ground.misplaced)
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
    this.#stagedUpTo = Math.max(this.#stagedUpTo, this.#target.seq)
    this.#target = target
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
    const staged = { top: newest.seq, chain: newest.chain, low: oldest.seq, previous: oldest.previous }
    const before = this.#history.mayHold(staged)
      ? await this.#takeBack(staged)
      : { below: undefined, atTop: undefined }
    const chain = read.map(({ row }) => row)
    const transfers = read.flatMap((entry) => entry.transfers)
    await this.#queue(() =>
      Promise.all([this.#insertHistory('chain', chain), this.#insertHistory('transfers', transfers)]),
    )
    return this.#isGrounded(this.#history.add(staged, before))
  }

  /** Deletes what is staged of these seqs, and returns what it said of their chains. */
  async #takeBack({ low, top }: Pick<HistorySegment, 'low' | 'top'>): Promise<StagedBefore> {
    const { writer } = this.#ground
    const values = [String(low), String(top)]
    const range = 'where seq between $1::bigint and $2::bigint'
    await this.#writing
    const [chains] = await Promise.all([
      writer.rows({
        text: 'select seq, chain from staged_chain where seq in ($1::bigint - 1, $2::bigint)',
        values,
      }),
      writer.rows({ text: `delete from staged_chain ${range}`, values }),
      writer.rows({ text: `delete from staged_transfers ${range}`, values }),
    ])
    const chainAt = (seq: number) =>
      chains.filter((row) => Number(row[0]) === seq).map((row) => digestAt(row, 1))[0]
    return { below: chainAt(low - 1), atTop: chainAt(top) }
  }

  /** Whether the history here goes on right below the segment, and is sound. */
  async #isGrounded({ low, previous }: HistorySegment): Promise<boolean> {
    return low <= this.#ground.soundBelow && (await this.#ground.chainAt((low - 1) as Seq)) === previous
  }

  /** Writes what is left. Undefined while not all of the target is staged or here. */
  async finish(): Promise<{ readonly ancestor: Seq; readonly repaired: readonly RowMismatch[] } | undefined> {
    await this.#flush()
    await this.#writing
    if (this.#tree.root !== this.#target.stateRoot || (await this.lacksHistory())) return undefined
    const { seq, chain } = this.#target
    const segment = this.#history.ending({ seq, chain })
    const ancestor = segment === undefined ? seq : ((segment.low - 1) as Seq)
    return { ancestor, repaired: this.#repaired }
  }

  async discard(): Promise<void> {
    await this.#writing
    await this.#ground.writer.rows({ text: 'rollback' })
  }

  /** Unchanged rows are left alone, unless another one goes, whose path they may have. */
  async #replace(partition: Partition, rows: readonly MarkedRow[], bytes: number): Promise<void> {
    const here = this.#tree.marksAt(partition)
    const { changed, gone } = differences(here, rows)
    this.#buffer.set(partition, { rows: gone.length > 0 ? rows : changed, gone })
    this.#bufferedBytes += bytes + gone.length * PLACE_BYTES
    if (this.#bufferedBytes >= BUFFERED_BYTES_MAX) await this.#flush()
  }

  async #flush(): Promise<void> {
    const replaced = [...this.#buffer.values()]
    this.#buffer = new Map()
    this.#bufferedBytes = 0
    if (replaced.length === 0) return
    const rows = replaced.flatMap((part) => part.rows)
    const gone = replaced.flatMap((part) => part.gone)
    const changes: RowChange[] = gone.map((place) => ({ place, digest: null }))
    for (const { mark } of rows) changes.push(mark)
    this.#tree = this.#tree.changed(changes)
    const { writer, oids, lastExecuted } = this.#ground
    const explained = { executed: lastExecuted, target: this.#target.seq, stagedUpTo: this.#stagedUpTo }
    await this.#queue(async () => {
      const repaired = await placeRows({ writer, oids, rows, gone, explained })
      this.#repaired.push(...repaired.slice(0, NAMED_MAX - this.#repaired.length))
    })
  }

  /** Begins a write once the one before is done: what waits in memory is bounded. */
  async #queue(write: () => Promise<unknown>): Promise<void> {
    await this.#writing
    this.#writing = write().then(() => undefined)
    // Whoever awaits #writing learns of it.
    this.#writing.catch(() => undefined)
  }

  async #insertHistory<T extends 'transfers' | 'chain'>(table: T, rows: readonly Tables[T][]): Promise<void> {
    if (rows.length === 0) return
    await this.#ground.writer.rows({
      name: `stage-${table}`,
      text: `insert into staged_${table} (${STORED[table]}) select ${STORED[table]} from unnest($1::${table}[])`,
      values: [rowArray(this.#ground.oids[table], CELLS[table], rows)],
    })
  }
}

/** What a partition's rows do to those that are there; both in the order of places. */
function differences(
  here: readonly RowMark[],
  rows: readonly MarkedRow[],
): { readonly changed: readonly MarkedRow[]; readonly gone: readonly Place[] } {
  const changed: MarkedRow[] = []
  const gone: Place[] = []
  let at = 0
  for (const row of rows) {
    for (let mark = here[at]; mark && mark.place < row.mark.place; mark = here[++at]) gone.push(mark.place)
    if (here[at]?.place !== row.mark.place) changed.push(row)
    else if (here[at++]?.digest !== row.mark.digest) changed.push(row)
  }
  for (const { place } of here.slice(at)) gone.push(place)
  return { changed, gone }
}
