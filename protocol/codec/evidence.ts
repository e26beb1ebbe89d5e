import { SIGNATURE_BYTES } from '../crypto.ts'
import { evidenceOf } from '../evidence.ts'
import type { AccountableClaim, AccountableType, Evidence, Testimony } from '../messages.ts'
import { MalformedError, Reader } from '../reader.ts'
import type { ReplicaId } from '../types.ts'
import { digestToBytes } from '../types.ts'
import { replicaFrom } from './votes.ts'

/** [EV1] [EV3] Signed statements out of the messages that they came in. Every reader throws MalformedError. */
const TYPES: readonly AccountableType[] = ['pre-prepare', 'prepare', 'commit', 'checkpoint']
const digestsOf = (type: AccountableType): number => (type === 'checkpoint' ? 2 : 1)

const claimToFields = ({ statement, signature }: AccountableClaim): unknown[] => [
  TYPES.indexOf(statement.type),
  statement.view,
  statement.seq,
  statement.digests.map(digestToBytes),
  signature,
]

function claimFrom(value: unknown, signer: ReplicaId): AccountableClaim {
  const fields = Reader.of(value, 5)
  const type = TYPES[fields.integer(TYPES.length - 1)]
  if (type === undefined) throw new MalformedError('not a type of statement')
  const view = fields.integer()
  const seq = fields.integer()
  const digests = fields.list(2, (digest) => Reader.of([digest]).digest())
  if (digests.length !== digestsOf(type)) throw new MalformedError('wrong number of digests')
  if (type === 'checkpoint' && view !== 0) throw new MalformedError('a CHECKPOINT has no view')
  return { statement: { type, view, seq, signer, digests }, signature: fields.exactly(SIGNATURE_BYTES) }
}

export const testimonyToFields = ({ claim }: Testimony): unknown[] => [
  claim.statement.signer,
  claimToFields(claim),
]

export function testimonyFromFields(fields: Reader): Testimony {
  const signer = replicaFrom(fields)
  return { type: 'testimony', claim: claimFrom(fields.any(), signer) }
}

export const evidenceToFields = ({ accused, claims }: Evidence): unknown[] => [
  accused,
  ...claims.map(claimToFields),
]

/** Two statements that do not contradict each other, or in another order, are no evidence. */
export function evidenceFromFields(fields: Reader): Evidence {
  const accused = replicaFrom(fields)
  const first = claimFrom(fields.any(), accused)
  const evidence = evidenceOf(first, claimFrom(fields.any(), accused))
  if (evidence === null || evidence.claims[0] !== first) throw new MalformedError('no evidence')
  return evidence
}
