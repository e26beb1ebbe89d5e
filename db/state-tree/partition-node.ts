import type { Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Digest } from '../../protocol/types.ts'
import { digestToBytes } from '../../protocol/types.ts'
import { type ByteReader, decodedWhole, LayoutError } from './bytes.ts'
import { FAN_OUT, isIn, placeOfRow, ROOT, type RowMark, rowDigestOf } from './place.ts'
import { decodeRow, encodeRow } from './row-codec.ts'
import type { StateRow } from './state-row.ts'
import { innerDigest, leafDigest } from './tree-node.ts'

/** A row as it travels in a node, with its mark. */
export type MarkedRow = { readonly row: StateRow; readonly mark: RowMark }

/** [CP4] Per row, in the tree's order: length u32 | canonical bytes. */
export function encodeRows(rows: readonly StateRow[]): Buffer {
  const parts: Buffer[] = []
  for (const row of rows) {
    const bytes = encodeRow(row)
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32BE(bytes.length)
    parts.push(length, bytes)
  }
  return Buffer.concat(parts)
}

/**
 * What a node's bytes decoded to: they are read to be checked and again to be staged, and decoding and hashing is most
 * of what a transfer costs the replica. So what is staged is also what was checked.
 */
const decoded = new WeakMap<Uint8Array, readonly MarkedRow[]>()

/** Total: undefined unless these are rows of the partition, each in its one encoding, in order, none twice. */
export function decodeRows(bytes: Uint8Array, partition: Partition): readonly MarkedRow[] | undefined {
  const rows = decoded.get(bytes) ?? decodedWhole(bytes, readRows)
  if (rows === undefined) return undefined
  decoded.set(bytes, rows)
  return rows.every(({ mark }) => isIn(mark.place, partition)) ? rows : undefined
}

function readRows(reader: ByteReader): readonly MarkedRow[] {
  const rows: MarkedRow[] = []
  while (reader.remaining > 0) {
    const next = readRow(reader)
    const before = rows.at(-1)
    if (before !== undefined && before.mark.place >= next.mark.place) {
      throw new LayoutError('rows out of order')
    }
    rows.push(next)
  }
  return rows
}

function readRow(reader: ByteReader): MarkedRow {
  const bytes = reader.raw(reader.u32())
  const row = decodeRow(bytes)
  if (row === undefined) throw new LayoutError('not a row')
  return { row, mark: { place: placeOfRow(row), digest: rowDigestOf(bytes) } }
}

/** [CP2] What the node's parent, or a stateRoot, must name. Undefined for a node that is laid out wrongly. */
export function partitionDigest(node: PartitionNode): Digest | undefined {
  if (node.kind === 'rows') {
    const rows = decodeRows(node.rows, ROOT)
    return rows && toHex(leafDigest(rows.map(({ mark }) => mark)))
  }
  if (node.children.length !== FAN_OUT) return undefined
  const children = node.children.map((digest) =>
    digest === null ? null : { digest: digestToBytes(digest).toString('latin1') },
  )
  return toHex(innerDigest(children))
}

const toHex = (bytes: string): Digest => Buffer.from(bytes, 'latin1').toString('hex') as Digest
