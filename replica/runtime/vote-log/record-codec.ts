import { decodeBatch, encodeBatch, isMalformed } from '../../../protocol/codec.ts'
import { SIGNATURE_BYTES } from '../../../protocol/crypto.ts'
import type { Batch, Header, Vote } from '../../../protocol/messages.ts'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import { MalformedError, Reader } from '../../../protocol/reader.ts'
import type { ReplicaId, Seq, View } from '../../../protocol/types.ts'
import { assertNever, CLIENT_ID_MIN, digestToBytes } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../core/vote-record.ts'

/** Vote records as msgpack arrays, first field the type, which the frame repeats. 0 is the frame's own. */
export const RECORD_TYPE: Readonly<Record<VoteRecord['kind'], number>> = {
  'pre-prepare': 1,
  prepared: 2,
  committed: 3,
  batch: 4,
  checkpoint: 5,
  stable: 6,
}

/** Types of the records that hold a batch. */
export const isBodyType = (type: number): boolean =>
  type === RECORD_TYPE['pre-prepare'] || type === RECORD_TYPE.batch

const REPLICAS_MAX = CLIENT_ID_MIN
const BATCH_BYTES_MAX = 2 ** 28

/** The result may share its buffer with other messages: copy it to keep it. */
export const encodeRecord = (record: VoteRecord): Uint8Array => pack(recordToFields(record))

function recordToFields(record: VoteRecord): unknown[] {
  const type = RECORD_TYPE[record.kind]
  switch (record.kind) {
    case 'pre-prepare':
      return [type, ...headerToFields(record.header), encodeBatch(record.batch)]
    case 'prepared':
      return [type, ...headerToFields(record.header), record.prepares.map(voteToFields)]
    case 'committed':
      return [type, record.view, record.seq, digestToBytes(record.digest), record.commits.map(voteToFields)]
    case 'batch':
      return [type, record.seq, encodeBatch(record.batch)]
    case 'checkpoint':
      return [type, ...stateToFields(record), record.signature]
    case 'stable':
      return [type, ...stateToFields(record), record.checkpoints.map(voteToFields)]
    default:
      return assertNever(record)
  }
}

const headerToFields = ({ view, seq, digest, signature }: Header): unknown[] => [
  view,
  seq,
  digestToBytes(digest),
  signature,
]
const voteToFields = (vote: Vote): unknown[] => [vote.replica, vote.signature]
const stateToFields = (record: VoteRecord & { kind: 'checkpoint' | 'stable' }): unknown[] => [
  record.seq,
  digestToBytes(record.stateRoot),
  digestToBytes(record.chain),
]

/**
 * Total: undefined for bytes that are no record. Byte strings in the result are views into `bytes`, which must not
 * change afterwards.
 */
export function decodeRecord(bytes: Uint8Array): VoteRecord | undefined {
  try {
    return recordFromFields(Reader.of(unpack(bytes)))
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}

/** @throws MalformedError */
function recordFromFields(fields: Reader): VoteRecord {
  const record = recordOfType(fields.integer(255), fields)
  if (fields.remaining > 0) throw new MalformedError('too many fields')
  return record
}

function recordOfType(type: number, fields: Reader): VoteRecord {
  switch (type) {
    case RECORD_TYPE['pre-prepare']: {
      const header = headerFrom(fields)
      const batch = batchFrom(fields)
      if (batch.digest !== header.digest) throw new MalformedError('the batch is not the one of the header')
      return { kind: 'pre-prepare', header, batch }
    }
    case RECORD_TYPE.prepared:
      return { kind: 'prepared', header: headerFrom(fields), prepares: votesFrom(fields) }
    case RECORD_TYPE.committed: {
      const view = fields.integer() as View
      const seq = fields.integer() as Seq
      return { kind: 'committed', view, seq, digest: fields.digest(), commits: votesFrom(fields) }
    }
    case RECORD_TYPE.batch:
      return { kind: 'batch', seq: fields.integer() as Seq, batch: batchFrom(fields) }
    case RECORD_TYPE.checkpoint:
      return { kind: 'checkpoint', ...stateFrom(fields), signature: fields.exactly(SIGNATURE_BYTES) }
    case RECORD_TYPE.stable:
      return { kind: 'stable', ...stateFrom(fields), checkpoints: votesFrom(fields) }
    default:
      throw new MalformedError('unknown record type')
  }
}

function headerFrom(fields: Reader): Header {
  const view = fields.integer() as View
  const seq = fields.integer() as Seq
  return { view, seq, digest: fields.digest(), signature: fields.exactly(SIGNATURE_BYTES) }
}

const votesFrom = (fields: Reader): Vote[] =>
  fields.list(REPLICAS_MAX, (value) => {
    const vote = Reader.of(value, 2)
    return {
      replica: vote.integer(REPLICAS_MAX - 1) as ReplicaId,
      signature: vote.exactly(SIGNATURE_BYTES),
    }
  })

function stateFrom(fields: Reader) {
  const seq = fields.integer() as Seq
  const stateRoot = fields.digest()
  return { seq, stateRoot, chain: fields.digest() }
}

function batchFrom(fields: Reader): Batch {
  const batch = decodeBatch(fields.bytes(BATCH_BYTES_MAX))
  if (isMalformed(batch)) throw new MalformedError(batch.malformed)
  return batch
}
