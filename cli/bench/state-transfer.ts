import { chainDigestOfEntry } from '../../db/state-machine/ledger-entry.ts'
import { partitionDigest } from '../../db/state-tree/partition-node.ts'
import type { Store, TransferTarget } from '../../db/store.ts'
import type { Partition, PartitionNode } from '../../protocol/messages.ts'
import type { Digest, Seq } from '../../protocol/types.ts'

/** As a message would carry. */
const BYTES_PER_ANSWER = 256 * 1024
const PARTITIONS_PER_QUESTION = 1_024
/** Of an inner node: four digests, and as much as names it. */
export const INNER_BYTES = 140

export type TransferCost = { readonly ms: number; readonly bytes: number; readonly nodes: number }

/**
 * [CP4] Brings `to` to a state that `from` holds, as the core does it, without a network between them: every node and
 * entry is verified against what its parent or successor said.
 */
export async function transferState(from: Store, to: Store, target: TransferTarget): Promise<TransferCost> {
  const startedMs = performance.now()
  const { partitions, history } = await to.beginTransfer(target, { rescan: false })
  const expected = new Map<Partition, Digest>(partitions.map((root) => [root, target.stateRoot]))
  const wanted = [...partitions]
  let bytes = 0
  let nodes = 0
  const ask = () => {
    const question = wanted.splice(-PARTITIONS_PER_QUESTION).reverse()
    return {
      question,
      answer: from.readPartitions(target.seq, { partitions: question, bytesMax: BYTES_PER_ANSWER }),
    }
  }
  for (let next = wanted.length > 0 ? ask() : undefined; next !== undefined; ) {
    const { question, answer } = next
    const read = await answer
    if (read === undefined || read.length === 0) throw new Error(`seq ${target.seq} is not held`)
    wanted.push(...question.slice(read.length).reverse())
    // The source reads on while this answer is staged.
    const ahead = wanted.length > 0 ? ask() : undefined
    for (const { partition, node } of read) {
      if (partitionDigest(node) !== expected.get(partition))
        throw new Error(`partition ${partition} is not proven`)
      expected.delete(partition)
      nodes += 1
      bytes += partition.length + (node.kind === 'rows' ? node.rows.length : INNER_BYTES)
      for (const child of await to.stagePartition(partition, node)) {
        expected.set(child, childDigest(partition, child, node))
        wanted.push(child)
      }
    }
    next = ahead ?? (wanted.length > 0 ? ask() : undefined)
  }
  if (history) bytes += await transferHistory(from, to, target)
  await to.installTransfer()
  return { ms: performance.now() - startedMs, bytes, nodes }
}

function childDigest(partition: Partition, child: Partition, node: PartitionNode): Digest {
  const digest = node.kind === 'inner' ? node.children[Number(child.slice(partition.length))] : undefined
  if (digest === undefined || digest === null) throw new Error(`partition ${child} is wanted, and not there`)
  return digest
}

async function transferHistory(from: Store, to: Store, target: TransferTarget): Promise<number> {
  let bytes = 0
  let { seq, chain }: { seq: number; chain: Digest } = target
  const read = (upTo: number) => from.readHistory({ upTo: upTo as Seq, bytesMax: BYTES_PER_ANSWER })
  for (let next = read(seq); ; ) {
    const entries = await next
    const last = entries.at(-1)
    if (last === undefined) throw new Error(`seq ${seq} is not there`)
    // The source reads on while this answer is staged.
    next = last.seq > 1 ? read(last.seq - 1) : Promise.resolve([])
    for (const entry of entries) {
      if (entry.seq !== seq || chainDigestOfEntry(entry) !== chain)
        throw new Error(`seq ${seq} is not proven`)
      bytes += entry.transfers.length
      chain = entry.previous
      seq -= 1
    }
    if (await to.stageHistory(entries)) {
      await next
      return bytes
    }
  }
}
