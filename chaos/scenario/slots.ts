import type { Batch, Header, Vote } from '../../protocol/messages.ts'
import type { Digest, Seq, View } from '../../protocol/types.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'
import type { ReplicaEvidence } from './evidence.ts'

/** How far a slot got at one replica: pre-prepared, prepared, committed, executed; X: it knows nothing of it. */
export type SlotState = 'PP' | 'P' | 'C' | 'E' | 'X'

/** What one replica's vote log says of one sequence number. */
export type Slot = {
  readonly seq: Seq
  /** In the order of the log: a slot is voted on again in each view. */
  readonly preprepared: Header[]
  readonly prepared: { readonly header: Header; readonly prepares: readonly Vote[] }[]
  committed: { readonly view: View; readonly digest: Digest; readonly commits: readonly Vote[] } | null
  /** By their digests; also those that came without a PRE-PREPARE. */
  readonly batches: Map<Digest, Batch>
}

/** Ascending. */
export function slotsOf({ records }: Pick<ReplicaEvidence, 'records'>): Slot[] {
  const slots = new Map<Seq, Slot>()
  for (const record of records) {
    const seq = seqOf(record)
    if (seq === null) continue
    const slot: Slot = slots.get(seq) ?? {
      seq,
      preprepared: [],
      prepared: [],
      committed: null,
      batches: new Map(),
    }
    slots.set(seq, slot)
    add(slot, record)
  }
  return [...slots.values()].sort((a, b) => a.seq - b.seq)
}

function seqOf(record: VoteRecord): Seq | null {
  switch (record.kind) {
    case 'pre-prepare':
    case 'prepared':
      return record.header.seq
    case 'committed':
    case 'batch':
      return record.seq
    default:
      return null
  }
}

function add(slot: Slot, record: VoteRecord): void {
  switch (record.kind) {
    case 'pre-prepare':
      slot.preprepared.push(record.header)
      slot.batches.set(record.batch.digest, record.batch)
      break
    case 'prepared':
      slot.prepared.push(record)
      break
    case 'committed':
      slot.committed = record
      break
    case 'batch':
      slot.batches.set(record.batch.digest, record.batch)
      break
    default:
      break
  }
}

export function stateOf(seq: number, slot: Slot | undefined, { lastExecuted }: ReplicaEvidence): SlotState {
  if (seq <= lastExecuted) return 'E'
  if (slot === undefined) return 'X'
  if (slot.committed !== null) return 'C'
  if (slot.prepared.length > 0) return 'P'
  return slot.preprepared.length > 0 ? 'PP' : 'X'
}

/** What was agreed on there, as far as a replica's log tells; else what was proposed last. */
export function batchAt(slot: Slot): Batch | undefined {
  const digest =
    slot.committed?.digest ?? slot.prepared.at(-1)?.header.digest ?? slot.preprepared.at(-1)?.digest
  return digest === undefined ? undefined : slot.batches.get(digest)
}

/** Where a correct replica executed the request; undefined: none of them did. */
export function executedAt(digest: Digest, replicas: readonly ReplicaEvidence[]): Seq | undefined {
  for (const replica of replicas) {
    if (replica.role === 'byzantine') continue
    const slot = slotsOf(replica).find(
      (one) =>
        one.seq <= replica.lastExecuted &&
        one.committed !== null &&
        one.batches.get(one.committed.digest)?.requests.some((request) => request.digest === digest),
    )
    if (slot !== undefined) return slot.seq
  }
  return undefined
}
