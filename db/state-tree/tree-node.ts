import { digestOf } from '../../protocol/crypto.ts'
import { digestToBytes } from '../../protocol/types.ts'
import {
  DEPTH_MAX,
  digitAt,
  FAN_OUT,
  PLACE_BYTES,
  type Place,
  ROW_DIGEST_BYTES,
  type RowChange,
  type RowDigest,
  type RowMark,
} from './place.ts'

/**
 * One node: a leaf where its part has at most BUCKET_ROWS rows or no bits are left, else an inner node. So the tree's
 * shape, and every digest in it, depend on the set of rows alone. Never changed: a change makes new nodes up to the
 * root and shares the others.
 *
 * Digests and marks are strings of one character per byte, since a million small buffers would take twice the room.
 */
export type TreeNode = {
  readonly digest: string
  /** Rows below. */
  readonly count: number
  /** A leaf's marks one behind the other, in order; '' in an inner node. */
  readonly packed: string
  /** FAN_OUT of them, by digit; null in a leaf. */
  readonly children: readonly (TreeNode | null)[] | null
}

/**
 * Few, so that a replica that lacks rows here and there fetches few others with them; enough that digests do not
 * outweigh rows.
 */
export const BUCKET_ROWS = 8

const MARK_BYTES = PLACE_BYTES + ROW_DIGEST_BYTES
const LEAF_DOMAIN = Buffer.from('pbft-ledger tree rows', 'latin1')
/** A child's digest where it has none. */
const NO_ROWS = '\0'.repeat(ROW_DIGEST_BYTES)
const INNER_DOMAIN = Buffer.from('pbft-ledger tree inner', 'latin1')

/** domain | count u32 | row digests in order. */
export function leafDigest(marks: readonly Pick<RowMark, 'digest'>[]): string {
  const bytes = Buffer.allocUnsafe(LEAF_DOMAIN.length + 4 + marks.length * ROW_DIGEST_BYTES)
  bytes.set(LEAF_DOMAIN, 0)
  const at = bytes.writeUInt32BE(marks.length, LEAF_DOMAIN.length)
  // One write of all costs less than one of each.
  let digests = ''
  for (const { digest } of marks) digests += digest
  bytes.write(digests, at, 'latin1')
  return hashed(bytes)
}

/** domain | the children's digests by digit, zero for none. */
export function innerDigest(children: readonly ({ readonly digest: string } | null)[]): string {
  const bytes = Buffer.allocUnsafe(INNER_DOMAIN.length + FAN_OUT * ROW_DIGEST_BYTES)
  bytes.set(INNER_DOMAIN, 0)
  let digests = ''
  for (const child of children) digests += child?.digest ?? NO_ROWS
  bytes.write(digests, INNER_DOMAIN.length, 'latin1')
  return hashed(bytes)
}

const hashed = (bytes: Buffer): string => digestToBytes(digestOf(bytes)).toString('latin1')

/** All marks below, in order. */
export function marksOf(node: TreeNode | null, into: RowMark[] = []): RowMark[] {
  if (node === null) return into
  for (const child of node.children ?? []) marksOf(child, into)
  for (let at = 0; at < node.packed.length; at += MARK_BYTES) {
    into.push({
      place: node.packed.slice(at, at + PLACE_BYTES) as Place,
      digest: node.packed.slice(at + PLACE_BYTES, at + MARK_BYTES) as RowDigest,
    })
  }
  return into
}

/** The node at `depth` that holds these marks, which are in order; null for none. */
export function built(marks: readonly RowMark[], depth: number): TreeNode | null {
  return builtFrom(marks, { from: 0, to: marks.length }, depth)
}

type Range = { readonly from: number; readonly to: number }

function builtFrom(marks: readonly RowMark[], { from, to }: Range, depth: number): TreeNode | null {
  if (from === to) return null
  if (to - from <= BUCKET_ROWS || depth === DEPTH_MAX) return leafOf(marks.slice(from, to))
  const children = byDigit(marks, { from, to }, depth).map((range) => builtFrom(marks, range, depth + 1))
  return { digest: innerDigest(children), count: to - from, packed: '', children }
}

function leafOf(marks: readonly RowMark[]): TreeNode {
  let joined = ''
  for (const { place, digest } of marks) joined += place + digest
  // A copy of its own: parts of strings keep the whole that they were cut from.
  const packed = Buffer.from(joined, 'latin1').toString('latin1')
  return { digest: leafDigest(marks), count: marks.length, packed, children: null }
}

/** Where each digit's part of a sorted range is. */
function byDigit(sorted: readonly { readonly place: Place }[], { from, to }: Range, depth: number): Range[] {
  const ranges: Range[] = []
  let at = from
  for (let digit = 0; digit < FAN_OUT; digit++) {
    const start = at
    for (let next = sorted[at]; at < to && next && digitAt(next.place, depth) === digit; next = sorted[at])
      at++
    ranges.push({ from: start, to: at })
  }
  return ranges
}

/** `node`, which is at `depth`, after `changes`: sorted by place, one for each. The same node when nothing changes. */
export function changed(
  node: TreeNode | null,
  changes: readonly RowChange[],
  depth: number,
): TreeNode | null {
  return changedBy(node, { changes, range: { from: 0, to: changes.length } }, depth)
}

type ChangeRange = { readonly changes: readonly RowChange[]; readonly range: Range }

function changedBy(node: TreeNode | null, { changes, range }: ChangeRange, depth: number): TreeNode | null {
  if (range.from === range.to) return node
  if (node === null || node.children === null) {
    const before = marksOf(node)
    const after = merged(before, changes.slice(range.from, range.to))
    return isSame(before, after) ? node : built(after, depth)
  }
  const parts = byDigit(changes, range, depth)
  const children = node.children.map((child, digit) => {
    const part = parts[digit]
    return part === undefined ? child : changedBy(child, { changes, range: part }, depth + 1)
  })
  return children.every((child, digit) => child === node.children?.[digit]) ? node : parentOf(children)
}

/** The canonical node over `children`: a leaf when they hold few rows. */
export function parentOf(children: readonly (TreeNode | null)[]): TreeNode | null {
  const count = children.reduce((sum, child) => sum + (child?.count ?? 0), 0)
  if (count === 0) return null
  if (count <= BUCKET_ROWS) return leafOf(children.flatMap((child) => marksOf(child)))
  return { digest: innerDigest(children), count, packed: '', children }
}

function merged(before: readonly RowMark[], changes: readonly RowChange[]): RowMark[] {
  const after: RowMark[] = []
  let at = 0
  for (const { place, digest } of changes) {
    for (let mark = before[at]; mark && mark.place < place; mark = before[++at]) after.push(mark)
    if (before[at]?.place === place) at++
    if (digest !== null) after.push({ place, digest })
  }
  return after.concat(before.slice(at))
}

const isSame = (a: readonly RowMark[], b: readonly RowMark[]): boolean =>
  a.length === b.length && a.every(({ place, digest }, i) => place === b[i]?.place && digest === b[i]?.digest)
