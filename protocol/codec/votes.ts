import { SIGNATURE_BYTES } from '../crypto.ts'
import type { Checkpoint, Commit, Header, Prepare, Vote } from '../messages.ts'
import { Reader } from '../reader.ts'
import type { ReplicaId, Seq, View } from '../types.ts'
import { digestToBytes } from '../types.ts'
import { REPLICAS_MAX } from './bounds.ts'

/** What replicas sign in the normal case, alone and as parts of other messages. Every reader throws MalformedError. */
export const replicaFrom = (fields: Reader): ReplicaId => fields.integer(REPLICAS_MAX - 1) as ReplicaId

export const voteToFields = (vote: Vote): unknown[] => [vote.replica, vote.signature]

export function voteFromFields(value: unknown): Vote {
  const fields = Reader.of(value, 2)
  return { replica: replicaFrom(fields), signature: fields.exactly(SIGNATURE_BYTES) }
}

export const votesFrom = (fields: Reader): Vote[] => fields.list(REPLICAS_MAX, voteFromFields)

export const headerToFields = (header: Header): unknown[] => [
  header.view,
  header.seq,
  digestToBytes(header.digest),
  header.signature,
]

export function headerFromFields(value: unknown): Header {
  const fields = Reader.of(value, 4)
  const view = fields.integer() as View
  const seq = fields.integer() as Seq
  return { view, seq, digest: fields.digest(), signature: fields.exactly(SIGNATURE_BYTES) }
}

export const checkpointToFields = (checkpoint: Checkpoint): unknown[] => [
  checkpoint.seq,
  digestToBytes(checkpoint.stateRoot),
  digestToBytes(checkpoint.chain),
  ...voteToFields(checkpoint),
]

export function checkpointFromFields(value: unknown): Checkpoint {
  const fields = Reader.of(value, 5)
  const seq = fields.integer() as Seq
  const stateRoot = fields.digest()
  const chain = fields.digest()
  const replica = replicaFrom(fields)
  return { type: 'checkpoint', seq, stateRoot, chain, replica, signature: fields.exactly(SIGNATURE_BYTES) }
}

export const voteMessageToFields = (message: Prepare | Commit): unknown[] => [
  message.view,
  message.seq,
  digestToBytes(message.digest),
  ...voteToFields(message),
]

export function voteMessageFromFields<T extends 'prepare' | 'commit'>(type: T, fields: Reader) {
  const view = fields.integer() as View
  const seq = fields.integer() as Seq
  const digest = fields.digest()
  const replica = replicaFrom(fields)
  return { type, view, seq, digest, replica, signature: fields.exactly(SIGNATURE_BYTES) }
}
