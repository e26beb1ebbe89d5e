import { REPLICAS_MAX } from '../../../protocol/codec/bounds.ts'
import {
  newViewFromFields,
  signedBodyToFields,
  viewChangeFromFields,
} from '../../../protocol/codec/view-change.ts'
import { headerFromFields, headerToFields, votesFrom, voteToFields } from '../../../protocol/codec/votes.ts'
import { decodeBatch, encodeBatch, isMalformed } from '../../../protocol/codec.ts'
import { SIGNATURE_BYTES } from '../../../protocol/crypto.ts'
import type { Batch, ViewChange } from '../../../protocol/messages.ts'
import { pack, unpack } from '../../../protocol/msgpack.ts'
import { MalformedError, Reader } from '../../../protocol/reader.ts'
import type { Seq, View } from '../../../protocol/types.ts'
import { assertNever, digestToBytes } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../core/vote-record.ts'

/** Vote records as msgpack arrays, first field the type, which the frame repeats. 0 is the frame's own. */
export const RECORD_TYPE: Readonly<Record<VoteRecord['kind'], number>> = {
  'pre-prepare': 1,
  prepared: 2,
  committed: 3,
  batch: 4,
  checkpoint: 5,
  stable: 6,
  'view-change': 7,
  'new-view': 8,
  amnesia: 9,
  recovered: 10,
}

/** Types of the records that hold a batch. */
export const isBodyType = (type: number): boolean =>
  type === RECORD_TYPE['pre-prepare'] || type === RECORD_TYPE.batch

/** `isStanding`, for records that are not decoded. */
export const isStandingType = (type: number): boolean =>
  type === RECORD_TYPE['view-change'] ||
  type === RECORD_TYPE['new-view'] ||
  type === RECORD_TYPE.amnesia ||
  type === RECORD_TYPE.recovered

/** Body, replica, signature. */
const VIEW_CHANGE_FIELDS = 3
const BATCH_BYTES_MAX = 2 ** 28

/** The result may share its buffer with other messages: copy it to keep it. */
export const encodeRecord = (record: VoteRecord): Uint8Array => pack(recordToFields(record))

function recordToFields(record: VoteRecord): unknown[] {
  const type = RECORD_TYPE[record.kind]
  switch (record.kind) {
    case 'pre-prepare':
      return [type, headerToFields(record.header), encodeBatch(record.batch)]
    case 'prepared':
      return [type, headerToFields(record.header), record.prepares.map(voteToFields)]
    case 'committed':
      return [type, record.view, record.seq, digestToBytes(record.digest), record.commits.map(voteToFields)]
    case 'batch':
      return [type, record.seq, encodeBatch(record.batch)]
    case 'checkpoint':
      return [type, ...stateToFields(record), record.signature]
    case 'stable':
      return [type, ...stateToFields(record), record.checkpoints.map(voteToFields)]
    case 'view-change':
      return [type, ...signedBodyToFields(record.message)]
    case 'new-view':
      return [type, ...signedBodyToFields(record.message), record.viewChanges.map(signedBodyToFields)]
    case 'amnesia':
      return [type]
    case 'recovered':
      return [type, record.incarnation, record.view]
    default:
      return assertNever(record)
  }
}

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
      const header = headerFromFields(fields.any())
      const batch = batchFrom(fields)
      if (batch.digest !== header.digest) throw new MalformedError('the batch is not the one of the header')
      return { kind: 'pre-prepare', header, batch }
    }
    case RECORD_TYPE.prepared:
      return { kind: 'prepared', header: headerFromFields(fields.any()), prepares: votesFrom(fields) }
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
    case RECORD_TYPE['view-change']:
      return { kind: 'view-change', message: viewChangeFromFields(fields) }
    case RECORD_TYPE['new-view']: {
      const message = newViewFromFields(fields)
      const viewChanges = fields.list(REPLICAS_MAX, viewChangeFrom)
      return { kind: 'new-view', message, viewChanges }
    }
    case RECORD_TYPE.amnesia:
      return { kind: 'amnesia' }
    case RECORD_TYPE.recovered:
      return { kind: 'recovered', incarnation: fields.integer(), view: fields.integer() as View }
    default:
      throw new MalformedError('unknown record type')
  }
}

function stateFrom(fields: Reader) {
  const seq = fields.integer() as Seq
  const stateRoot = fields.digest()
  return { seq, stateRoot, chain: fields.digest() }
}

const viewChangeFrom = (value: unknown): ViewChange =>
  viewChangeFromFields(Reader.of(value, VIEW_CHANGE_FIELDS))

function batchFrom(fields: Reader): Batch {
  const batch = decodeBatch(fields.bytes(BATCH_BYTES_MAX))
  if (isMalformed(batch)) throw new MalformedError(batch.malformed)
  return batch
}
