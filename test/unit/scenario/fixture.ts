import type { ReplicaEvidence, SetEvidence } from '../../../chaos/scenario/evidence.ts'
import {
  CLIENTS,
  OPENING_BALANCE,
  REPLICAS,
  roleIn,
  type ScenarioSet,
} from '../../../chaos/scenario/scenario.ts'
import { digestOf } from '../../../protocol/crypto.ts'
import type { Batch, Request } from '../../../protocol/messages.ts'
import type { Operation, OperationResult, RequestName } from '../../../protocol/operations.ts'
import { encodeResults } from '../../../protocol/results-codec.ts'
import { batchOf } from '../../../protocol/signing.ts'
import { clientId, type Digest, lane, requestNumber, seq, view } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'

/** A's first request. */
export const NAME: RequestName = {
  client: clientId(1_000),
  lane: 1,
  number: requestNumber(7),
  digest: digestOf(Buffer.from('a request of A')) as Digest,
}

/** Every replica as it began, but for what is said here of some. */
export function evidenceOf(
  set: ScenarioSet,
  of: Partial<Omit<SetEvidence, 'replicas'>> & {
    readonly replicas?: Readonly<Record<number, Partial<ReplicaEvidence>>>
  } = {},
): SetEvidence {
  const { replicas = {}, ...rest } = of
  return {
    replicas: Array.from({ length: REPLICAS }, (_, replica) => ({
      replica,
      role: roleIn(set, replica),
      lastExecuted: 0,
      chain: '',
      balances: new Map(CLIENTS.map((name) => [name, OPENING_BALANCE])),
      lanes: [],
      records: [],
      messages: [],
      ...replicas[replica],
    })),
    judgement: { verdict: 'pass', summary: 'all is well', properties: [] },
    behind: [],
    incidents: [],
    ...rest,
  }
}

/** What a database keeps of A's request when it was its last. */
export const rowOf = (result: OperationResult): ReplicaEvidence['lanes'][number] => ({
  client: NAME.client,
  lane: lane(NAME.lane),
  real: { number: NAME.number, requestDigest: NAME.digest, result: encodeResults([result]) },
  lookup: null,
  version: seq(3),
})

export const batchWith = (operations: readonly Operation[]): Batch => {
  const { client, number, digest } = NAME
  const request: Request = {
    type: 'request',
    client,
    lane: lane(NAME.lane),
    number,
    operations,
    digest,
    body: new Uint8Array(),
    signature: new Uint8Array(64),
    macs: [],
  }
  return batchOf([request])
}

/** A vote log in which `batch` got as far as that at `at`. */
export function recordsOf(at: number, batch: Batch, until: 'PP' | 'P' | 'C'): VoteRecord[] {
  const header = { view: view(0), seq: seq(at), digest: batch.digest, signature: new Uint8Array(64) }
  const records: VoteRecord[] = [{ kind: 'pre-prepare', header, batch }]
  if (until !== 'PP') records.push({ kind: 'prepared', header, prepares: [] })
  if (until === 'C') {
    records.push({ kind: 'committed', seq: seq(at), view: view(0), digest: batch.digest, commits: [] })
  }
  return records
}
