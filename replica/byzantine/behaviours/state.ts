import type { LedgerEntry, PartitionNode } from '../../../protocol/messages.ts'
import { checkpointFor, instead, type Liar, otherThan, type Part, withCheckpoint } from '../liar.ts'

export const wrongCheckpoint = (liar: Liar): Part =>
  instead((message) => [
    withCheckpoint(message, {
      self: liar.config.self,
      change: (checkpoint) => checkpointFor(liar, checkpoint, { stateRoot: otherThan(checkpoint.stateRoot) }),
    }),
  ])

/** [CP4] Found out by the digest of the node, and of the entry. */
export const corruptState = (): Part =>
  instead((message) => {
    switch (message.type) {
      case 'partitions':
        return [
          {
            ...message,
            nodes: message.nodes.map(({ partition, node }) => ({ partition, node: damaged(node) })),
          },
        ]
      case 'history':
        return [{ ...message, entries: message.entries.map(falsified) }]
      case 'committed':
        return [{ ...message, digest: otherThan(message.digest) }]
      default:
        return [message]
    }
  })

function damaged(node: PartitionNode): PartitionNode {
  if (node.kind === 'inner') return { ...node, children: [...node.children].reverse() }
  return { ...node, rows: withLastByteChanged(node.rows) }
}

const falsified = (entry: LedgerEntry): LedgerEntry =>
  entry.transfers.length === 0
    ? { ...entry, repliesDigest: otherThan(entry.repliesDigest) }
    : { ...entry, transfers: withLastByteChanged(entry.transfers) }

function withLastByteChanged(bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes)
  const last = changed.length - 1
  changed[last] = (changed[last] ?? 0) ^ 1
  return changed
}

/** [CP4] [CP5] It answers at once, always, and what it says is never the last of it. */
export const endlessState = (): Part =>
  instead((message) => {
    switch (message.type) {
      case 'partitions':
        return [{ ...message, isHeld: true, nodes: message.nodes.slice(0, 0) }]
      case 'history':
        return [{ ...message, entries: message.entries.slice(0, 0) }]
      case 'committed':
        return [{ ...message, last: false, batch: null }]
      default:
        return [message]
    }
  })
