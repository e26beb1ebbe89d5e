import type { Partition } from '../../protocol/messages.ts'
import type { Digest } from '../../protocol/types.ts'
import { digitAt, FAN_OUT, isIn, type Place, type RowChange, type RowDigest, type RowMark } from './place.ts'
import { built, changed, leafDigest, marksOf, parentOf, type TreeNode } from './tree-node.ts'

/** What the tree has at a partition: the digests of its children by digit (null: no rows), or its rows' marks. */
export type PartitionView =
  | { readonly kind: 'inner'; readonly children: readonly (Digest | null)[] }
  | { readonly kind: 'rows'; readonly marks: readonly RowMark[] }

/**
 * [CP2] The partition tree over the rows of STATE_TABLES: what each replica holds of its own state to certify it, and
 * to find by comparison which rows it lacks [CP4]. A value: a change makes another tree, which shares what is the same.
 */
export class StateTree {
  static readonly empty = new StateTree(null)
  readonly #root: TreeNode | null

  private constructor(root: TreeNode | null) {
    this.#root = root
  }

  /** stateRoot. */
  get root(): Digest {
    return digestOfNode(this.#root) ?? toDigest(leafDigest([]))
  }

  /** Rows. */
  get size(): number {
    return this.#root?.count ?? 0
  }

  /**
   * The tree after `changes`, in any order; the last for a place counts. Pages in the order of paths build a tree of
   * many rows at the cost of building it at once.
   */
  changed(changes: readonly RowChange[]): StateTree {
    const root = changed(this.#root, inOrder(changes), 0)
    return root === this.#root ? this : new StateTree(root)
  }

  /** The same in steps of about `rowsPerStep` rows; each change is taken from the iterable in its step. */
  *changing(changes: Iterable<RowChange>, rowsPerStep: number): Generator<void, StateTree> {
    // Parts of the tree that have no node but the topmost in common.
    const parts: RowChange[][] = Array.from({ length: 256 }, () => [])
    let rows = 0
    for (const change of changes) {
      parts[change.place.charCodeAt(0)]?.push(change)
      if (++rows % rowsPerStep === 0) yield
    }
    let root = this.#root
    rows = 0
    for (const part of parts) {
      for (let from = 0, sorted = inOrder(part); from < sorted.length; from += rowsPerStep) {
        const slice = sorted.slice(from, from + rowsPerStep)
        root = changed(root, slice, 0)
        rows += slice.length
        if (rows < rowsPerStep) continue
        yield
        rows = 0
      }
    }
    return new StateTree(root)
  }

  /** The tree with these rows, which are in the partition, in place of all that it has there. */
  replaced(partition: Partition, marks: readonly RowMark[]): StateTree {
    const replace = (node: TreeNode | null, depth: number): TreeNode | null => {
      if (depth === partition.length) return built(inOrder(marks), depth)
      if (node === null || node.children === null) {
        const others = marksOf(node).filter(({ place }) => !isIn(place, partition))
        return built(inOrder([...others, ...marks]), depth)
      }
      const at = Number(partition[depth])
      return parentOf(node.children.map((child, digit) => (digit === at ? replace(child, depth + 1) : child)))
    }
    return new StateTree(replace(this.#root, 0))
  }

  /**
   * The digest of the partition's rows; null: it has none. Also below a leaf: what a node of those rows would have.
   */
  digestAt(partition: Partition): Digest | null {
    const { node, depth } = this.#nodeAt(partition)
    if (node === null || depth === partition.length) return digestOfNode(node)
    const marks = marksIn(node, partition)
    return marks.length === 0 ? null : toDigest(leafDigest(marks))
  }

  viewOf(partition: Partition): PartitionView {
    const { node } = this.#nodeAt(partition)
    if (node?.children) return { kind: 'inner', children: node.children.map(digestOfNode) }
    return { kind: 'rows', marks: node === null ? [] : marksIn(node, partition) }
  }

  /** Of all rows of the partition, in order. */
  marksAt(partition: Partition): readonly RowMark[] {
    const { node } = this.#nodeAt(partition)
    return node === null ? [] : node.children === null ? marksIn(node, partition) : marksOf(node)
  }

  /** Undefined: there is no row at the place. */
  rowDigestAt(place: Place): RowDigest | undefined {
    let node = this.#root
    for (let depth = 0; node?.children; depth++) node = node.children[digitAt(place, depth)] ?? null
    return marksOf(node).find((mark) => mark.place === place)?.digest
  }

  /** What makes this tree the other, in order; at a cost of the difference, not of the trees. */
  changesTo(other: StateTree): RowChange[] {
    const changes: RowChange[] = []
    collectChanges(this.#root, other.#root, changes)
    return changes
  }

  /** The deepest node on the way to the partition, whose rows are all of the partition where `depth` is its length. */
  #nodeAt(partition: Partition): { readonly node: TreeNode | null; readonly depth: number } {
    let node = this.#root
    let depth = 0
    while (depth < partition.length && node?.children)
      node = node.children[Number(partition[depth++])] ?? null
    return { node, depth }
  }
}

/** Of the partitions below an inner node of another tree: those that differ here. */
export function differingChildren(
  tree: StateTree,
  partition: Partition,
  children: readonly (Digest | null)[],
): readonly { readonly partition: Partition; readonly digest: Digest | null }[] {
  return children
    .map((digest, digit) => ({ partition: `${partition}${digit}` as Partition, digest }))
    .filter(({ partition, digest }) => tree.digestAt(partition) !== digest)
}

function collectChanges(from: TreeNode | null, to: TreeNode | null, into: RowChange[]): void {
  if (from === to || from?.digest === to?.digest) return
  if (from?.children && to?.children) {
    for (let digit = 0; digit < FAN_OUT; digit++) {
      collectChanges(from.children[digit] ?? null, to.children[digit] ?? null, into)
    }
    return
  }
  const before = new Map(marksOf(from).map(({ place, digest }) => [place, digest]))
  const changes: RowChange[] = []
  for (const mark of marksOf(to)) {
    if (before.get(mark.place) !== mark.digest) changes.push(mark)
    before.delete(mark.place)
  }
  for (const place of before.keys()) changes.push({ place, digest: null })
  into.push(...inOrder(changes))
}

const marksIn = (leaf: TreeNode, partition: Partition): RowMark[] =>
  marksOf(leaf).filter(({ place }) => isIn(place, partition))

const toDigest = (bytes: string): Digest => Buffer.from(bytes, 'latin1').toString('hex') as Digest
const digestOfNode = (node: TreeNode | null): Digest | null => (node === null ? null : toDigest(node.digest))

/** Sorted by place, the last of each. */
function inOrder<T extends { readonly place: Place }>(rows: readonly T[]): T[] {
  const sorted = rows.toSorted((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0))
  return sorted.filter(({ place }, i) => sorted[i + 1]?.place !== place)
}
