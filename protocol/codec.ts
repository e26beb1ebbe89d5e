import { digestOf, SIGNATURE_BYTES } from './crypto.ts'
import type {
  Batch,
  Checkpoint,
  Commit,
  Header,
  Message,
  NewView,
  Prepare,
  PreparedCertificate,
  Read,
  ReadReply,
  Reply,
  Request,
  Status,
  ViewChange,
  Vote,
} from './messages.ts'
import { pack, unpack } from './msgpack.ts'
import type { Operation } from './operations.ts'
import { operationFromFields, operationToFields } from './operations-codec.ts'
import { MalformedError, Reader } from './reader.ts'
import { batchDigestOf } from './signing.ts'
import type { Lane, PrincipalId, ReplicaId, RequestNumber, Seq, View } from './types.ts'
import { assertNever, CLIENT_ID_MIN, digestToBytes } from './types.ts'

/**
 * Messages as msgpack arrays, first field the type. `decodeMessage` is total: Message or Malformed, never a throw.
 * What is hashed or signed travels as the bytes that were hashed or signed [AU1]; digests of bodies are computed
 * here, from the bytes as received.
 */
export type Malformed = { readonly malformed: string }
export const isMalformed = (value: object): value is Malformed => 'malformed' in value

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
} as const

/** Bounds of what is decoded at all; genesis and the core set tighter ones. */
const REQUESTS_MAX = 10_000
const OPERATIONS_MAX = 10_000
const REPLICAS_MAX = CLIENT_ID_MIN
const WINDOW_MAX = 131_072
const BODY_BYTES_MAX = 16_000_000
const READ_ACCOUNTS_MAX = 1_000
const ACCOUNT_CHARACTERS_MAX = 400
const LANES_MAX = 65_535
const REPORT_CHARACTERS_MAX = 65_536
const UINT32_MAX = 2 ** 32 - 1

// --- requests and batches

export type RequestBody = Pick<Request, 'client' | 'lane' | 'number' | 'operations'>

/** What a client signs the digest of. */
export const encodeRequestBody = (body: RequestBody): Uint8Array =>
  // A copy: msgpackr hands out views into a buffer that it shares with other messages, and this one is kept.
  Uint8Array.from(pack([body.client, body.lane, body.number, body.operations.map(operationToFields)]))

const requestToFields = (request: Request): unknown[] => [request.body, request.signature, request.macs]

/** @throws MalformedError */
function requestFromFields(value: unknown): Request {
  const fields = Reader.of(value, 3)
  const body = fields.bytes(BODY_BYTES_MAX)
  const signature = fields.exactly(SIGNATURE_BYTES)
  const macs = fields.list(REPLICAS_MAX, (mac) => Reader.of([mac]).bytes(32))
  const inner = Reader.of(unpack(body), 4)
  const client = inner.integer(UINT32_MAX) as PrincipalId
  const lane = inner.integer(LANES_MAX) as Lane
  const number = inner.integer() as RequestNumber
  const operations = inner.list(OPERATIONS_MAX, operationFromFields)
  checkOperations(operations)
  return { type: 'request', client, lane, number, operations, digest: digestOf(body), body, signature, macs }
}

function checkOperations(operations: readonly Operation[]): void {
  if (operations.length === 0) throw new MalformedError('a request without operations')
  if (operations.length > 1 && operations.some((operation) => operation.kind === 'lookup')) {
    throw new MalformedError('a lookup beside other operations')
  }
}

// A batch is encoded once, for the log and for every backup.
const encodedBatches = new WeakMap<Batch, Uint8Array>()

export function encodeBatch(batch: Batch): Uint8Array {
  const known = encodedBatches.get(batch)
  if (known !== undefined) return known
  const bytes = Uint8Array.from(pack(batch.requests.map(requestToFields)))
  encodedBatches.set(batch, bytes)
  return bytes
}

export function decodeBatch(bytes: Uint8Array): Batch | Malformed {
  return totally(() => batchFromBytes(bytes))
}

function batchFromBytes(bytes: Uint8Array): Batch {
  const requests = Reader.of([unpack(bytes)]).list(REQUESTS_MAX, requestFromFields)
  const batch: Batch = { digest: batchDigestOf(requests), requests }
  encodedBatches.set(batch, bytes)
  return batch
}

// --- pieces

const voteToFields = (vote: Vote): unknown[] => [vote.replica, vote.signature]
function voteFromFields(value: unknown): Vote {
  const fields = Reader.of(value, 2)
  return { replica: replicaFrom(fields), signature: fields.exactly(SIGNATURE_BYTES) }
}
const replicaFrom = (fields: Reader): ReplicaId => fields.integer(REPLICAS_MAX - 1) as ReplicaId

const headerToFields = (header: Header): unknown[] => [
  header.view,
  header.seq,
  digestToBytes(header.digest),
  header.signature,
]
function headerFromFields(value: unknown): Header {
  const fields = Reader.of(value, 4)
  const view = fields.integer() as View
  const seq = fields.integer() as Seq
  return { view, seq, digest: fields.digest(), signature: fields.exactly(SIGNATURE_BYTES) }
}

const checkpointToFields = (checkpoint: Checkpoint): unknown[] => [
  checkpoint.seq,
  digestToBytes(checkpoint.stateRoot),
  digestToBytes(checkpoint.chain),
  ...voteToFields(checkpoint),
]
function checkpointFromFields(value: unknown): Checkpoint {
  const fields = Reader.of(value, 5)
  const seq = fields.integer() as Seq
  const stateRoot = fields.digest()
  const chain = fields.digest()
  const replica = replicaFrom(fields)
  return { type: 'checkpoint', seq, stateRoot, chain, replica, signature: fields.exactly(SIGNATURE_BYTES) }
}

const certificateToFields = (certificate: PreparedCertificate): unknown[] => [
  headerToFields(certificate.header),
  certificate.prepares.map(voteToFields),
]
function certificateFromFields(value: unknown): PreparedCertificate {
  const fields = Reader.of(value, 2)
  return { header: headerFromFields(fields.any()), prepares: fields.list(REPLICAS_MAX, voteFromFields) }
}

// --- view change: the body is what is signed

export type ViewChangeBody = Pick<
  ViewChange,
  'newView' | 'lowWaterMark' | 'incarnation' | 'checkpoints' | 'prepared'
>

export const encodeViewChangeBody = (body: ViewChangeBody): Uint8Array =>
  Uint8Array.from(
    pack([
      body.newView,
      body.lowWaterMark,
      body.incarnation,
      body.checkpoints.map(checkpointToFields),
      body.prepared.map(certificateToFields),
    ]),
  )

export type NewViewBody = Pick<NewView, 'view' | 'viewChanges' | 'headers'>

export const encodeNewViewBody = (body: NewViewBody): Uint8Array =>
  Uint8Array.from(
    pack([
      body.view,
      body.viewChanges.map(({ replica, digest }) => [replica, digestToBytes(digest)]),
      body.headers.map(headerToFields),
    ]),
  )

function viewChangeFromFields(fields: Reader): ViewChange {
  const body = fields.bytes(BODY_BYTES_MAX)
  const vote = voteFromFields([fields.any(), fields.any()])
  const inner = Reader.of(unpack(body), 5)
  return {
    type: 'view-change',
    newView: inner.integer() as View,
    lowWaterMark: inner.integer() as Seq,
    incarnation: inner.integer(),
    checkpoints: inner.list(REPLICAS_MAX, checkpointFromFields),
    prepared: inner.list(WINDOW_MAX, certificateFromFields),
    digest: digestOf(body),
    body,
    ...vote,
  }
}

function newViewFromFields(fields: Reader): NewView {
  const body = fields.bytes(BODY_BYTES_MAX)
  const vote = voteFromFields([fields.any(), fields.any()])
  const inner = Reader.of(unpack(body), 3)
  return {
    type: 'new-view',
    view: inner.integer() as View,
    viewChanges: inner.list(REPLICAS_MAX, (value) => {
      const entry = Reader.of(value, 2)
      return { replica: replicaFrom(entry), digest: entry.digest() }
    }),
    headers: inner.list(WINDOW_MAX, headerFromFields),
    digest: digestOf(body),
    body,
    ...vote,
  }
}

// --- normal case

const voteMessageToFields = (message: Prepare | Commit): unknown[] => [
  TYPE[message.type],
  message.view,
  message.seq,
  digestToBytes(message.digest),
  message.replica,
  message.signature,
]
function voteMessageFromFields<T extends 'prepare' | 'commit'>(type: T, fields: Reader) {
  const view = fields.integer() as View
  const seq = fields.integer() as Seq
  const digest = fields.digest()
  const replica = replicaFrom(fields)
  return { type, view, seq, digest, replica, signature: fields.exactly(SIGNATURE_BYTES) }
}

// --- clients

const OUTCOME = { executed: 1, 'number-reused': 2, superseded: 3 } as const

function replyToFields(reply: Reply): unknown[] {
  const { outcome } = reply
  return [
    TYPE.reply,
    reply.client,
    reply.lane,
    reply.number,
    digestToBytes(reply.requestDigest),
    reply.view,
    ...outcomeToFields(outcome),
  ]
}
function outcomeToFields(outcome: Reply['outcome']): unknown[] {
  switch (outcome.kind) {
    case 'executed':
      return [OUTCOME.executed, outcome.result]
    case 'number-reused':
      return [OUTCOME['number-reused']]
    case 'superseded':
      return [OUTCOME.superseded, outcome.entryNumber]
    default:
      return assertNever(outcome)
  }
}
function replyFromFields(fields: Reader): Reply {
  const client = fields.integer(UINT32_MAX) as PrincipalId
  const lane = fields.integer(LANES_MAX) as Lane
  const number = fields.integer() as RequestNumber
  const requestDigest = fields.digest()
  const view = fields.integer() as View
  return { type: 'reply', client, lane, number, requestDigest, outcome: outcomeFromFields(fields), view }
}
function outcomeFromFields(fields: Reader): Reply['outcome'] {
  switch (fields.integer(255)) {
    case OUTCOME.executed:
      return { kind: 'executed', result: fields.bytes(BODY_BYTES_MAX) }
    case OUTCOME['number-reused']:
      return { kind: 'number-reused' }
    case OUTCOME.superseded:
      return { kind: 'superseded', entryNumber: fields.integer() as RequestNumber }
    default:
      throw new MalformedError('unknown outcome')
  }
}

function readFromFields(fields: Reader): Read {
  const nonce = fields.uint48()
  const accounts = fields.list(READ_ACCOUNTS_MAX, (value) =>
    Reader.of([value]).string(ACCOUNT_CHARACTERS_MAX),
  )
  return { type: 'read', nonce, accounts }
}

const readReplyToFields = (reply: ReadReply): unknown[] => [
  TYPE['read-reply'],
  reply.nonce,
  reply.values.map(({ account, balance, version }) => [account, balance, version]),
]
function readReplyFromFields(fields: Reader): ReadReply {
  const nonce = fields.uint48()
  const values = fields.list(READ_ACCOUNTS_MAX, (value) => {
    const row = Reader.of(value, 3)
    const account = row.string(ACCOUNT_CHARACTERS_MAX)
    const balance = row.nullable((amount) => Reader.of([amount]).bigint())
    return { account, balance, version: row.integer() as Seq }
  })
  return { type: 'read-reply', nonce, values }
}

// --- catch-up

const statusToFields = (status: Status): unknown[] => [
  TYPE.status,
  status.view,
  status.highestViewChange,
  status.lowWaterMark,
  status.lastExecuted,
  status.accepted,
  status.prepared,
  status.committed,
  status.checkpoint === null ? null : checkpointToFields(status.checkpoint),
  status.bodies === null ? null : [status.bodies.source, status.bodies.after],
  status.wordsWanted,
]
function statusFromFields(fields: Reader): Status {
  return {
    type: 'status',
    view: fields.integer() as View,
    highestViewChange: fields.integer() as View,
    lowWaterMark: fields.integer() as Seq,
    lastExecuted: fields.integer() as Seq,
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

// --- the whole

export const encodeMessage = (message: Message): Uint8Array => pack(messageToFields(message))

function messageToFields(message: Message): unknown[] {
  switch (message.type) {
    case 'request':
      return [TYPE.request, requestToFields(message)]
    case 'pre-prepare':
      return [TYPE['pre-prepare'], headerToFields(message.header), encodeBatch(message.batch)]
    case 'prepare':
    case 'commit':
      return voteMessageToFields(message)
    case 'checkpoint':
      return [TYPE.checkpoint, checkpointToFields(message)]
    case 'view-change':
    case 'new-view':
      return [TYPE[message.type], message.body, ...voteToFields(message)]
    case 'reply':
      return replyToFields(message)
    case 'read':
      return [TYPE.read, message.nonce, message.accounts]
    case 'read-reply':
      return readReplyToFields(message)
    case 'status':
      return statusToFields(message)
    case 'committed': {
      const { seq, digest, view, commits, batch, last } = message
      const body = batch === null ? null : encodeBatch(batch)
      return [TYPE.committed, seq, digestToBytes(digest), view, commits.map(voteToFields), body, last]
    }
    case 'inspect':
      return [TYPE.inspect, message.nonce]
    case 'inspection':
      return [TYPE.inspection, message.nonce, message.report]
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
    case TYPE['pre-prepare']: {
      const header = headerFromFields(fields.any())
      return { type: 'pre-prepare', header, batch: batchFromBytes(fields.bytes(BODY_BYTES_MAX)) }
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
    case TYPE.committed: {
      const seq = fields.integer() as Seq
      const digest = fields.digest()
      const view = fields.integer() as View
      const commits = fields.list(REPLICAS_MAX, voteFromFields)
      const batch = fields.nullable(batchFromAny)
      return { type: 'committed', seq, digest, view, commits, batch, last: fields.boolean() }
    }
    case TYPE.inspect:
      return { type: 'inspect', nonce: fields.uint48() }
    case TYPE.inspection:
      return { type: 'inspection', nonce: fields.uint48(), report: fields.string(REPORT_CHARACTERS_MAX) }
    default:
      throw new MalformedError('unknown message type')
  }
}

const batchFromAny = (value: unknown): Batch => batchFromBytes(Reader.of([value]).bytes(BODY_BYTES_MAX))

function totally<T extends object>(decode: () => T): T | Malformed {
  try {
    return decode()
  } catch (error) {
    if (error instanceof MalformedError) return { malformed: error.message }
    throw error
  }
}
