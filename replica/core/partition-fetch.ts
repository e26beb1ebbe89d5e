import type { Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Digest } from '../../protocol/types.ts'
import type { CoreCrypto } from './config.ts'
import { bytesOfNode } from './state-source.ts'

/** Nodes asked for in one message, messages under way, and verified nodes that the database has not taken yet. */
const NODES_PER_FETCH = 128
const FETCHES_MAX = 4
const STAGING_MAX = 1_024

type Wanted = { readonly partition: Partition; readonly digest: Digest }
type FetchedNode = { readonly partition: Partition; readonly node: PartitionNode }
type Ask = { readonly wanted: readonly Wanted[]; isOld: boolean }

export type TakenNodes =
  /** Not what a correct source sends. */
  | { readonly kind: 'wrong' }
  /** Late, or repeated. */
  | { readonly kind: 'unasked' }
  | {
      readonly kind: 'taken'
      readonly nodes: readonly FetchedNode[]
      readonly bytes: number
      readonly isShort: boolean
    }

/**
 * [CP4] Which nodes of the target's tree are still to be fetched: from the root down, each checked against the digest
 * that its verified parent names. Depth first, so that what is to be remembered stays small.
 */
export class PartitionFetch {
  readonly #crypto: Pick<CoreCrypto, 'partitionDigest'>
  readonly #stack: Wanted[] = []
  readonly #asked: Ask[] = []
  /** Verified and on their way into the database; of inner ones the children's digests are still needed. */
  readonly #staging = new Map<Partition, PartitionNode>()

  constructor(crypto: Pick<CoreCrypto, 'partitionDigest'>, root: Digest, partitions: readonly Partition[]) {
    this.#crypto = crypto
    for (const partition of partitions) {
      if (partition !== '') throw new Error(`nobody verified what partition ${partition} must be`)
      this.#stack.push({ partition, digest: root })
    }
  }

  get isDone(): boolean {
    return this.#stack.length === 0 && this.#asked.length === 0 && this.#staging.size === 0
  }

  /** Something was asked for and has not come. */
  get isWaiting(): boolean {
    return this.#asked.length > 0
  }

  /** What to ask for next; undefined when enough is under way. */
  next(): readonly Partition[] | undefined {
    if (this.#stack.length === 0 || this.#asked.length >= FETCHES_MAX) return undefined
    if (this.#staging.size >= STAGING_MAX) return undefined
    const wanted = this.#stack.splice(-NODES_PER_FETCH).reverse()
    this.#asked.push({ wanted, isOld: false })
    return wanted.map(({ partition }) => partition)
  }

  /** `nodes` must be the first of those asked for together, in that order. */
  take(nodes: readonly FetchedNode[]): TakenNodes {
    const [first] = nodes
    const index = this.#asked.findIndex(({ wanted }) => wanted[0]?.partition === first?.partition)
    const ask = this.#asked[index]
    if (first === undefined || ask === undefined) return { kind: nodes.length === 0 ? 'wrong' : 'unasked' }
    for (const [at, { partition, node }] of nodes.entries()) {
      const wanted = ask.wanted[at]
      if (wanted?.partition !== partition || this.#crypto.partitionDigest(node) !== wanted.digest) {
        return { kind: 'wrong' }
      }
    }
    this.#asked.splice(index, 1)
    const rest = ask.wanted.slice(nodes.length)
    this.#stack.push(...rest.toReversed())
    for (const { partition, node } of nodes) this.#staging.set(partition, node)
    const bytes = nodes.reduce((sum, { node }) => sum + bytesOfNode(node), 0)
    return { kind: 'taken', nodes, bytes, isShort: rest.length > 0 }
  }

  /**
   * The database took a node; `wants`: its children that differ here.
   *
   * @throws when it wants what is no child of that node: ours.
   */
  onStaged(partition: Partition, wants: readonly Partition[]): void {
    const node = this.#staging.get(partition)
    if (node === undefined) throw new Error(`partition ${partition} was staged unasked`)
    this.#staging.delete(partition)
    for (const child of wants) {
      const at = Number.parseInt(child.slice(partition.length), 16)
      const digest = node.kind === 'inner' && child.startsWith(partition) ? node.children[at] : null
      if (digest == null) throw new Error(`partition ${child} is not in ${partition}`)
      this.#stack.push({ partition: child, digest })
    }
  }

  /** Everything under way is asked for again: of another source. */
  askAgain(): void {
    for (const { wanted } of this.#asked.splice(0)) this.#stack.push(...wanted.toReversed())
  }

  /** Whether something that was asked for before the last call has not come. */
  isOverdue(): boolean {
    const overdue = this.#asked.some(({ isOld }) => isOld)
    for (const ask of this.#asked) ask.isOld = true
    return overdue
  }
}
