import { digestOf } from '../../protocol/crypto.ts'
import { quorumOf } from '../../protocol/quorum.ts'
import { newViewOf, requestOf, viewChangeOf } from '../../protocol/signed.ts'
import { batchDigestOf } from '../../protocol/signing.ts'
import { replicaId, seq } from '../../protocol/types.ts'
import { ReplicaCore } from '../../replica/core/core.ts'
import type { DatabaseState } from '../../replica/core/event.ts'
import type { VoteRecord } from '../../replica/core/vote-record.ts'

export const SIGNATURE = new Uint8Array(64)
const SELF = replicaId(1)
const sign = () => SIGNATURE

/** Replica 1 of 4, started on this log and this database. */
export function recoveredCore(on: {
  readonly votes: readonly VoteRecord[]
  readonly database: DatabaseState
  readonly checkpointInterval: number
}): ReplicaCore {
  const { votes, database, checkpointInterval } = on
  return ReplicaCore.recover({
    config: {
      self: SELF,
      quorum: quorumOf(4),
      checkpointInterval,
      logWindow: 2 * checkpointInterval,
      batchOperationsMax: 10,
      batchBytesMax: 10_000,
      requestOperationsMax: 10,
      requestBytesMax: 10_000,
      lanesPerClientMax: 8,
      inFlightMax: 4,
      statusBusyMs: 50,
      statusIdleMs: 500,
      viewChangeTimeoutMs: 500,
      isAdmitted: () => true,
    },
    crypto: {
      sign,
      batchDigest: batchDigestOf,
      request: (fields) => requestOf(fields, sign),
      viewChange: (fields) => viewChangeOf(fields, SELF, sign),
      newView: (fields) => newViewOf(fields, SELF, sign),
      partitionDigest: () => digestOf(),
      chainDigest: () => digestOf(),
    },
    votes,
    database,
    nextIncarnation: 1,
    servedFrom: seq(0),
    evidence: [],
  })
}
