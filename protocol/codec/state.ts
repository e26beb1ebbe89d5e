import type {
  FetchCheckpoint,
  FetchHistory,
  FetchPartitions,
  History,
  LedgerEntry,
  Partition,
  PartitionNode,
  Partitions,
  StateOffer,
} from '../messages.ts'
import { MalformedError, Reader } from '../reader.ts'
import type { Digest, Seq } from '../types.ts'
import { digestToBytes } from '../types.ts'
import { BODY_BYTES_MAX, CHILDREN_MAX, HISTORY_MAX, PARTITIONS_MAX } from './bounds.ts'
import { checkpointFromFields, checkpointToFields } from './votes.ts'

/** [CP4] State transfer. Every reader throws MalformedError. What rows and transfers say is for db/state-tree to read. */
const PARTITION_PATTERN = /^[0-9a-f]{0,64}$/
const PARTITION_CHARACTERS_MAX = 64

const NODE = { inner: 1, rows: 2 } as const

const partitionFrom = (value: unknown): Partition => {
  const text = Reader.of([value]).string(PARTITION_CHARACTERS_MAX)
  if (!PARTITION_PATTERN.test(text)) throw new MalformedError('not a partition')
  return text as Partition
}

const nodeToFields = (node: PartitionNode): unknown[] =>
  node.kind === 'rows'
    ? [NODE.rows, node.rows]
    : [NODE.inner, node.children.map((child) => (child === null ? null : digestToBytes(child)))]

function nodeFromFields(value: unknown): PartitionNode {
  const fields = Reader.of(value, 2)
  switch (fields.integer(255)) {
    case NODE.inner:
      return { kind: 'inner', children: fields.list(CHILDREN_MAX, childFrom) }
    case NODE.rows:
      return { kind: 'rows', rows: fields.bytes(BODY_BYTES_MAX) }
    default:
      throw new MalformedError('unknown kind of node')
  }
}

const childFrom = (value: unknown): Digest | null => (value === null ? null : Reader.of([value]).digest())

const entryToFields = (entry: LedgerEntry): unknown[] => [
  entry.seq,
  digestToBytes(entry.previous),
  digestToBytes(entry.batchDigest),
  digestToBytes(entry.repliesDigest),
  entry.transfers,
]

function entryFromFields(value: unknown): LedgerEntry {
  const fields = Reader.of(value, 5)
  const seq = fields.integer() as Seq
  const previous = fields.digest()
  const batchDigest = fields.digest()
  const repliesDigest = fields.digest()
  return { seq, previous, batchDigest, repliesDigest, transfers: fields.bytes(BODY_BYTES_MAX) }
}

export const fetchCheckpointFromFields = (fields: Reader): FetchCheckpoint => ({
  type: 'fetch-checkpoint',
  above: fields.integer() as Seq,
})

export const stateOfferToFields = (offer: StateOffer): unknown[] => [checkpointToFields(offer.checkpoint)]

export const stateOfferFromFields = (fields: Reader): StateOffer => ({
  type: 'state-offer',
  checkpoint: checkpointFromFields(fields.any()),
})

export const fetchPartitionsToFields = (fetch: FetchPartitions): unknown[] => [fetch.seq, fetch.partitions]

export function fetchPartitionsFromFields(fields: Reader): FetchPartitions {
  const seq = fields.integer() as Seq
  return { type: 'fetch-partitions', seq, partitions: fields.list(PARTITIONS_MAX, partitionFrom) }
}

export const partitionsToFields = (message: Partitions): unknown[] => [
  message.seq,
  message.isHeld,
  message.nodes.map(({ partition, node }) => [partition, nodeToFields(node)]),
]

export function partitionsFromFields(fields: Reader): Partitions {
  const seq = fields.integer() as Seq
  const isHeld = fields.boolean()
  const nodes = fields.list(PARTITIONS_MAX, (value) => {
    const pair = Reader.of(value, 2)
    const partition = partitionFrom(pair.any())
    return { partition, node: nodeFromFields(pair.any()) }
  })
  return { type: 'partitions', seq, isHeld, nodes }
}

export const fetchHistoryFromFields = (fields: Reader): FetchHistory => ({
  type: 'fetch-history',
  upTo: fields.integer() as Seq,
})

export const historyToFields = (message: History): unknown[] => [
  message.upTo,
  message.entries.map(entryToFields),
]

export function historyFromFields(fields: Reader): History {
  const upTo = fields.integer() as Seq
  return { type: 'history', upTo, entries: fields.list(HISTORY_MAX, entryFromFields) }
}
