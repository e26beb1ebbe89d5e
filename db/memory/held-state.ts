import type { Partition, PartitionNode } from '../../protocol/messages.ts'
import { encodeRows } from '../state-tree/partition-node.ts'
import { FAN_OUT, type Place, ROW_DIGEST_BYTES } from '../state-tree/place.ts'
import type { StateRow } from '../state-tree/state-row.ts'
import type { StateTree } from '../state-tree/state-tree.ts'

/** [CP3] Rows as they were when it was taken, which a checkpoint holds, and their tree. */
export class HeldState {
  readonly #tree: StateTree
  readonly #rows: readonly StateRow[]
  readonly #placeOf: (row: StateRow) => Place
  /** Made when the first partition is read. */
  #byPlace: ReadonlyMap<Place, StateRow> | null = null

  constructor(args: {
    readonly tree: StateTree
    readonly rows: readonly StateRow[]
    readonly placeOf: (row: StateRow) => Place
  }) {
    this.#tree = args.tree
    this.#rows = args.rows
    this.#placeOf = args.placeOf
  }

  /** In the order asked, up to `bytesMax`, at least one. */
  read({ partitions, bytesMax }: { readonly partitions: readonly Partition[]; readonly bytesMax: number }): {
    readonly partition: Partition
    readonly node: PartitionNode
  }[] {
    const nodes: { readonly partition: Partition; readonly node: PartitionNode }[] = []
    let bytes = 0
    for (const partition of partitions) {
      const node = this.#nodeAt(partition)
      bytes += node.kind === 'rows' ? node.rows.length : FAN_OUT * ROW_DIGEST_BYTES
      if (bytes > bytesMax && nodes.length > 0) break
      nodes.push({ partition, node })
    }
    return nodes
  }

  /** A row that was changed behind the store's back goes out as it is: whoever asked finds that it is wrong. */
  #nodeAt(partition: Partition): PartitionNode {
    const view = this.#tree.viewOf(partition)
    if (view.kind === 'inner') return view
    this.#byPlace ??= new Map(this.#rows.map((row) => [this.#placeOf(row), row]))
    const rows = view.marks.flatMap(({ place }) => this.#byPlace?.get(place) ?? [])
    return { kind: 'rows', rows: encodeRows(rows) }
  }
}
