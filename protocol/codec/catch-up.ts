import type { Committed, FetchBatch, FetchedBatch, Status } from '../messages.ts'
import { Reader } from '../reader.ts'
import type { Seq, View } from '../types.ts'
import { digestToBytes } from '../types.ts'
import { REPLICAS_MAX, WINDOW_MAX } from './bounds.ts'
import { batchFrom, encodeBatch } from './requests.ts'
import { checkpointFromFields, checkpointToFields, replicaFrom, votesFrom, voteToFields } from './votes.ts'

/** What replicas tell each other of where they are, and batches out of turn. Every reader throws MalformedError. */
export const statusToFields = (status: Status): unknown[] => [
  status.view,
  status.highestViewChange,
  status.viewChanges,
  status.lowWaterMark,
  status.lastExecuted,
  status.servedFrom,
  status.isAmnesiac,
  status.accepted,
  status.prepared,
  status.committed,
  status.checkpoint === null ? null : checkpointToFields(status.checkpoint),
  status.bodies === null ? null : [status.bodies.source, status.bodies.after],
  status.wordsWanted,
]

export function statusFromFields(fields: Reader): Status {
  return {
    type: 'status',
    view: fields.integer() as View,
    highestViewChange: fields.integer() as View,
    viewChanges: fields.list(REPLICAS_MAX, (value) => replicaFrom(Reader.of([value]))),
    lowWaterMark: fields.integer() as Seq,
    lastExecuted: fields.integer() as Seq,
    servedFrom: fields.integer() as Seq,
    isAmnesiac: fields.boolean(),
    accepted: fields.bytes(WINDOW_MAX / 8),
    prepared: fields.bytes(WINDOW_MAX / 8),
    committed: fields.bytes(WINDOW_MAX / 8),
    checkpoint: fields.nullable(checkpointFromFields),
    bodies: fields.nullable((value) => {
      const wanted = Reader.of(value, 2)
      return { source: replicaFrom(wanted), after: wanted.integer() as Seq }
    }),
    wordsWanted: fields.boolean(),
  }
}

export const committedToFields = (committed: Committed): unknown[] => [
  committed.seq,
  digestToBytes(committed.digest),
  committed.view,
  committed.commits.map(voteToFields),
  committed.batch === null ? null : encodeBatch(committed.batch),
  committed.last,
]

export function committedFromFields(fields: Reader): Committed {
  const seq = fields.integer() as Seq
  const digest = fields.digest()
  const view = fields.integer() as View
  const commits = votesFrom(fields)
  const batch = fields.nullable(batchFrom)
  return { type: 'committed', seq, digest, view, commits, batch, last: fields.boolean() }
}

export const fetchBatchToFields = (fetch: FetchBatch): unknown[] => [fetch.seq, digestToBytes(fetch.digest)]

export function fetchBatchFromFields(fields: Reader): FetchBatch {
  const seq = fields.integer() as Seq
  return { type: 'fetch-batch', seq, digest: fields.digest() }
}

export const fetchedBatchToFields = (fetched: FetchedBatch): unknown[] => [
  fetched.seq,
  encodeBatch(fetched.batch),
]

export function fetchedBatchFromFields(fields: Reader): FetchedBatch {
  const seq = fields.integer() as Seq
  return { type: 'fetched-batch', seq, batch: batchFrom(fields.any()) }
}
