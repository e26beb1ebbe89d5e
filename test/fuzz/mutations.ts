import type { Random } from '../../chaos/sim/random.ts'
import { hostileLeaf } from './leaves.ts'
import { bytesOf, type Tree } from './tree.ts'

/** Makes another leaf of one; what a target knows of its fields goes in here. */
export type LeafChange = (leaf: Uint8Array, random: Random) => Uint8Array

const REPEATS = [2, 3, 17, 300, 1_100]

/** The tree with one node changed. `others`: trees to take parts from. */
export function changedTree(
  tree: Tree,
  {
    random,
    others,
    leaf,
  }: { readonly random: Random; readonly others: readonly Tree[]; readonly leaf: LeafChange },
): Tree {
  return atNode(tree, random.int(0, countOf(tree) - 1), (node) => {
    if (node.kind === 'leaf' && random.chance(0.8)) return { kind: 'leaf', bytes: leaf(node.bytes, random) }
    if (random.chance(0.15)) return partOf(random.pick(others), random)
    if (node.kind === 'array') return { kind: 'array', items: changedItems(node.items, random) }
    return random.chance(0.5) ? { kind: 'array', items: [node] } : { kind: 'nested', of: node }
  })
}

function changedItems(items: readonly Tree[], random: Random): readonly Tree[] {
  if (items.length === 0) return [{ kind: 'leaf', bytes: hostileLeaf(random) }]
  const at = random.int(0, items.length - 1)
  const item = items[at]
  if (item === undefined) return items
  switch (random.int(0, 6)) {
    case 0:
      return items.toSpliced(at, 1)
    case 1:
      return items.toSpliced(at, 0, item)
    case 2:
      return items.toReversed()
    case 3:
      return items.slice(0, at)
    case 4:
      return [...items, { kind: 'leaf', bytes: hostileLeaf(random) }]
    case 5:
      return Array.from({ length: random.pick(REPEATS) }, () => item)
    default: {
      const with_ = random.int(0, items.length - 1)
      return items.with(at, items[with_] ?? item).with(with_, item)
    }
  }
}

const partOf = (tree: Tree, random: Random): Tree => {
  let found = tree
  atNode(tree, random.int(0, countOf(tree) - 1), (node) => {
    found = node
    return node
  })
  return found
}

const counts = new WeakMap<Tree, number>()

/** How many nodes it has. */
function countOf(tree: Tree): number {
  if (tree.kind === 'leaf') return 1
  let count = counts.get(tree)
  if (count !== undefined) return count
  count = 1
  if (tree.kind === 'nested') count += countOf(tree.of)
  else for (const item of tree.items) count += countOf(item)
  counts.set(tree, count)
  return count
}

/** The tree with its `index`th node, counted from the root down, replaced. */
function atNode(tree: Tree, index: number, change: (node: Tree) => Tree): Tree {
  if (index === 0) return change(tree)
  if (tree.kind === 'nested') return { kind: 'nested', of: atNode(tree.of, index - 1, change) }
  if (tree.kind === 'leaf') return tree
  let left = index - 1
  const at = tree.items.findIndex((item) => {
    const count = countOf(item)
    if (left < count) return true
    left -= count
    return false
  })
  const item = tree.items[at]
  if (item === undefined) return tree
  return { kind: 'array', items: tree.items.with(at, atNode(item, left, change)) }
}

/** Values nested beyond what anybody reads. */
export const nestedDeeply = (random: Random): Buffer =>
  Buffer.concat([Buffer.alloc(random.pick([14, 15, 16, 17, 100, 5_000]), 0x91), Buffer.of(0xc0)])

/** The bytes with one to four places changed that know nothing of structure. */
export function changedBytes(bytes: Uint8Array, random: Random, other: Uint8Array): Buffer {
  let changed: Buffer = Buffer.from(bytes)
  for (let edits = random.int(1, 4); edits > 0; edits--) changed = edited(changed, random, other)
  return changed
}

function edited(bytes: Buffer, random: Random, other: Uint8Array): Buffer {
  if (bytes.length === 0) return random.bytes(random.int(1, 8))
  const at = random.int(0, bytes.length - 1)
  const end = Math.min(bytes.length, at + random.int(1, 16))
  switch (random.int(0, 7)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(0, 7))
      return bytes
    case 1:
      bytes[at] = random.pick([0x00, 0x7f, 0x80, 0x90, 0xc0, 0xc1, 0xc4, 0xc6, 0xdb, 0xdd, 0xff])
      return bytes
    case 2:
      return bytes.subarray(0, at)
    case 3:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 8)), bytes.subarray(at)])
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    case 5:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    case 6:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.int(0, other.length))])
    default:
      random.bytes(end - at).copy(bytes, at)
      return bytes
  }
}

/** A change of the tree or of the bytes of one of `samples`. */
export function mutant(
  samples: readonly { readonly bytes: Uint8Array; readonly tree: Tree }[],
  { random, leaf }: { readonly random: Random; readonly leaf: LeafChange },
): Buffer {
  const sample = random.pick(samples)
  const dice = random.float()
  if (dice < 0.02) return random.bytes(random.int(0, 300))
  if (dice < 0.03) return nestedDeeply(random)
  if (dice < 0.35) return changedBytes(sample.bytes, random, random.pick(samples).bytes)
  const others = [random.pick(samples).tree]
  let { tree } = sample
  for (let changes = random.pick([1, 1, 1, 2, 4]); changes > 0; changes--) {
    tree = changedTree(tree, { random, others, leaf })
  }
  const wideness = random.pick([0, 0, 0.1])
  const bytes = bytesOf(tree, () => random.chance(wideness))
  return random.chance(0.1) ? changedBytes(bytes, random, sample.bytes) : bytes
}
