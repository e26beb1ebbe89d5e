import type { LedgerEntry, Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Digest } from '../../protocol/types.ts'
import { chainDigestOfEntry } from '../state-machine/ledger-entry.ts'
import { decodeRows } from '../state-tree/partition-node.ts'
import type { Place, RowChange } from '../state-tree/place.ts'
import type { StateRow } from '../state-tree/state-row.ts'
import { differingChildren, type StateTree } from '../state-tree/state-tree.ts'
import type { TransferTarget } from '../store.ts'
import { StoreError } from '../store.ts'

/** What the history here can be joined to. */
export type HistoryHere = {
  /** c_seq; undefined where there is none. */
  readonly chainAt: (seq: number) => Digest | undefined
  /** The lowest seq whose rows do not match the chain; null when all do, as far as is known. */
  readonly damagedFrom: number | null
}

/** [CP4] A state on its way: the target, and what of it is here. */
export class IncomingState {
  target: TransferTarget
  #base: StateTree
  /** The tree here with what was staged in its place: done when its root is the target's. */
  #tree: StateTree
  readonly #rows = new Map<Place, StateRow>()
  readonly #entries = new Map<number, LedgerEntry>()

  constructor(target: TransferTarget, base: StateTree) {
    this.target = target
    this.#base = base
    this.#tree = base
  }

  /** `base`: the tree here, which may have been read anew. */
  moveTo(target: TransferTarget, base: StateTree): void {
    this.target = target
    this.#tree = base.changed(this.#base.changesTo(this.#tree))
    this.#base = base
  }

  get isStateComplete(): boolean {
    return this.#tree.root === this.target.stateRoot
  }

  stagePartition(partition: Partition, node: PartitionNode): readonly Partition[] {
    if (node.kind === 'rows') {
      const rows = decodeRows(node.rows, partition)
      if (rows === undefined) throw new StoreError('broken', `partition '${partition}': not verified rows`)
      for (const { row, mark } of rows) this.#rows.set(mark.place, row)
      this.#tree = this.#tree.replaced(
        partition,
        rows.map(({ mark }) => mark),
      )
      return []
    }
    const wants: Partition[] = []
    for (const child of differingChildren(this.#tree, partition, node.children)) {
      if (child.digest === null) this.#tree = this.#tree.replaced(child.partition, [])
      else wants.push(child.partition)
    }
    return wants
  }

  /** Returns whether the entries, with others below them, reach what is here. */
  stageHistory(entries: readonly LedgerEntry[], here: HistoryHere): boolean {
    for (const entry of entries) this.#entries.set(entry.seq, entry)
    const lowest = entries.at(-1)
    return lowest !== undefined && this.#joinBelow(lowest, here) !== undefined
  }

  /** What must change here. @throws StoreError 'broken' when partitions are missing. */
  changes(): readonly { readonly change: RowChange; readonly row: StateRow | undefined }[] {
    if (!this.isStateComplete) throw new StoreError('broken', 'install: partitions are missing')
    return this.#base.changesTo(this.#tree).map((change) => {
      return { change, row: change.digest === null ? undefined : this.#rows.get(change.place) }
    })
  }

  /** The missing suffix, in ascending order. @throws StoreError 'broken' when it does not reach what is here. */
  history(here: HistoryHere): readonly LedgerEntry[] {
    const newest = this.#entries.get(this.target.seq)
    const lowest =
      newest !== undefined && chainDigestOfEntry(newest) === this.target.chain
        ? this.#joinBelow(newest, here)
        : undefined
    if (lowest === undefined) throw new StoreError('broken', 'install: history is missing')
    const suffix: LedgerEntry[] = []
    for (let seq = lowest; seq <= this.target.seq; seq++) {
      const entry = this.#entries.get(seq)
      if (entry !== undefined) suffix.push(entry)
    }
    return suffix
  }

  /** The lowest seq of the entries from `entry` downwards when the chain below it is the one here. */
  #joinBelow(entry: LedgerEntry, { chainAt, damagedFrom }: HistoryHere): number | undefined {
    for (let at = entry; ; ) {
      const isWhole = damagedFrom === null || damagedFrom >= at.seq
      if (isWhole && chainAt(at.seq - 1) === at.previous) return at.seq
      const below = this.#entries.get(at.seq - 1)
      if (below === undefined || chainDigestOfEntry(below) !== at.previous) return undefined
      at = below
    }
  }
}
