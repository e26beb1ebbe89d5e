import { REPORT_CHARACTERS_MAX } from './codec/bounds.ts'
import {
  committedFromFields,
  committedToFields,
  fetchBatchFromFields,
  fetchBatchToFields,
  fetchedBatchFromFields,
  fetchedBatchToFields,
  statusFromFields,
  statusToFields,
} from './codec/catch-up.ts'
import {
  readFromFields,
  readReplyFromFields,
  readReplyToFields,
  readToFields,
  replyFromFields,
  replyToFields,
} from './codec/clients.ts'
import {
  evidenceFromFields,
  evidenceToFields,
  testimonyFromFields,
  testimonyToFields,
} from './codec/evidence.ts'
import { type Malformed, totally } from './codec/malformed.ts'
import { batchFrom, encodeBatch, requestFromFields, requestToFields } from './codec/requests.ts'
import {
  fetchCheckpointFromFields,
  fetchHistoryFromFields,
  fetchPartitionsFromFields,
  fetchPartitionsToFields,
  historyFromFields,
  historyToFields,
  partitionsFromFields,
  partitionsToFields,
  stateOfferFromFields,
  stateOfferToFields,
} from './codec/state.ts'
import { newViewFromFields, signedBodyToFields, viewChangeFromFields } from './codec/view-change.ts'
import {
  checkpointFromFields,
  checkpointToFields,
  headerFromFields,
  headerToFields,
  voteMessageFromFields,
  voteMessageToFields,
} from './codec/votes.ts'
import type { Message, MessageType } from './messages.ts'
import { pack, unpack } from './msgpack.ts'
import { MalformedError, Reader } from './reader.ts'
import { assertNever } from './types.ts'

/**
 * Messages as msgpack arrays, first field the type; one file of codec/ per family. `decodeMessage` is total: Message or
 * Malformed, never a throw. What is hashed or signed travels as the bytes that were hashed or signed [AU1]; digests of
 * bodies are computed from the bytes as received.
 */
export { isMalformed, type Malformed } from './codec/malformed.ts'
export { decodeBatch, encodeBatch, encodeRequestBody, type RequestBody } from './codec/requests.ts'
export {
  encodeNewViewBody,
  encodeViewChangeBody,
  type NewViewBody,
  type ViewChangeBody,
} from './codec/view-change.ts'

const TYPE = {
  request: 1,
  'pre-prepare': 2,
  prepare: 3,
  commit: 4,
  checkpoint: 5,
  'view-change': 6,
  'new-view': 7,
  reply: 8,
  read: 9,
  'read-reply': 10,
  status: 11,
  committed: 12,
  inspect: 13,
  inspection: 14,
  'fetch-batch': 15,
  'fetched-batch': 16,
  'fetch-checkpoint': 17,
  'state-offer': 18,
  'fetch-partitions': 19,
  partitions: 20,
  'fetch-history': 21,
  history: 22,
  testimony: 23,
  evidence: 24,
} as const satisfies Readonly<Record<MessageType, number>>

export const encodeMessage = (message: Message): Uint8Array =>
  pack([TYPE[message.type], ...messageToFields(message)])

function messageToFields(message: Message): unknown[] {
  switch (message.type) {
    case 'request':
      return [requestToFields(message)]
    case 'pre-prepare':
      return [headerToFields(message.header), encodeBatch(message.batch)]
    case 'prepare':
    case 'commit':
      return voteMessageToFields(message)
    case 'checkpoint':
      return [checkpointToFields(message)]
    case 'view-change':
    case 'new-view':
      return signedBodyToFields(message)
    case 'reply':
      return replyToFields(message)
    case 'read':
      return readToFields(message)
    case 'read-reply':
      return readReplyToFields(message)
    case 'status':
      return statusToFields(message)
    case 'committed':
      return committedToFields(message)
    case 'fetch-batch':
      return fetchBatchToFields(message)
    case 'fetched-batch':
      return fetchedBatchToFields(message)
    case 'fetch-checkpoint':
      return [message.above]
    case 'state-offer':
      return stateOfferToFields(message)
    case 'fetch-partitions':
      return fetchPartitionsToFields(message)
    case 'partitions':
      return partitionsToFields(message)
    case 'fetch-history':
      return [message.upTo]
    case 'history':
      return historyToFields(message)
    case 'testimony':
      return testimonyToFields(message)
    case 'evidence':
      return evidenceToFields(message)
    case 'inspect':
      return [message.nonce]
    case 'inspection':
      return [message.nonce, message.report]
    default:
      return assertNever(message)
  }
}

/** Byte strings in the result are views into `bytes`, which must not change afterwards. */
export function decodeMessage(bytes: Uint8Array): Message | Malformed {
  return totally(() => {
    const fields = Reader.of(unpack(bytes))
    const message = messageFromFields(fields)
    if (fields.remaining > 0) throw new MalformedError('too many fields')
    return message
  })
}

function messageFromFields(fields: Reader): Message {
  switch (fields.integer(255)) {
    case TYPE.request:
      return requestFromFields(fields.any())
    case TYPE['pre-prepare']:
      return {
        type: 'pre-prepare',
        header: headerFromFields(fields.any()),
        batch: batchFrom(fields.any()),
      }
    case TYPE.prepare:
      return voteMessageFromFields('prepare', fields)
    case TYPE.commit:
      return voteMessageFromFields('commit', fields)
    case TYPE.checkpoint:
      return checkpointFromFields(fields.any())
    case TYPE['view-change']:
      return viewChangeFromFields(fields)
    case TYPE['new-view']:
      return newViewFromFields(fields)
    case TYPE.reply:
      return replyFromFields(fields)
    case TYPE.read:
      return readFromFields(fields)
    case TYPE['read-reply']:
      return readReplyFromFields(fields)
    case TYPE.status:
      return statusFromFields(fields)
    case TYPE.committed:
      return committedFromFields(fields)
    case TYPE['fetch-batch']:
      return fetchBatchFromFields(fields)
    case TYPE['fetched-batch']:
      return fetchedBatchFromFields(fields)
    case TYPE['fetch-checkpoint']:
      return fetchCheckpointFromFields(fields)
    case TYPE['state-offer']:
      return stateOfferFromFields(fields)
    case TYPE['fetch-partitions']:
      return fetchPartitionsFromFields(fields)
    case TYPE.partitions:
      return partitionsFromFields(fields)
    case TYPE['fetch-history']:
      return fetchHistoryFromFields(fields)
    case TYPE.history:
      return historyFromFields(fields)
    case TYPE.testimony:
      return testimonyFromFields(fields)
    case TYPE.evidence:
      return evidenceFromFields(fields)
    case TYPE.inspect:
      return { type: 'inspect', nonce: fields.uint48() }
    case TYPE.inspection:
      return { type: 'inspection', nonce: fields.uint48(), report: fields.string(REPORT_CHARACTERS_MAX) }
    default:
      throw new MalformedError('unknown message type')
  }
}
