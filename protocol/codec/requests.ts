import { digestOf, SIGNATURE_BYTES } from '../crypto.ts'
import type { Batch, Request } from '../messages.ts'
import { pack, unpack } from '../msgpack.ts'
import type { Operation } from '../operations.ts'
import { operationFromFields, operationToFields } from '../operations-codec.ts'
import { MalformedError, Reader } from '../reader.ts'
import { batchDigestOf } from '../signing.ts'
import type { Lane, PrincipalId, RequestNumber } from '../types.ts'
import {
  BODY_BYTES_MAX,
  LANES_MAX,
  OPERATIONS_MAX,
  REPLICAS_MAX,
  REQUESTS_MAX,
  UINT32_MAX,
} from './bounds.ts'
import type { Malformed } from './malformed.ts'
import { totally } from './malformed.ts'

/** Requests and the batches of them. */
export type RequestBody = Pick<Request, 'client' | 'lane' | 'number' | 'operations'>

/** What a client signs the digest of. */
export const encodeRequestBody = (body: RequestBody): Uint8Array =>
  // A copy: msgpackr hands out views into a buffer that it shares with other messages, and this one is kept.
  Uint8Array.from(pack([body.client, body.lane, body.number, body.operations.map(operationToFields)]))

export const requestToFields = (request: Request): unknown[] => [
  request.body,
  request.signature,
  request.macs,
]

/** @throws MalformedError */
export function requestFromFields(value: unknown): Request {
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
  if (operations.length > 1 && operations.some(standsAlone)) {
    throw new MalformedError('a lookup or a recovery beside other operations')
  }
}

const standsAlone = ({ kind }: Operation): boolean => kind === 'lookup' || kind === 'recover'

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

/** @throws MalformedError */
export const batchFrom = (value: unknown): Batch => batchFromBytes(Reader.of([value]).bytes(BODY_BYTES_MAX))

function batchFromBytes(bytes: Uint8Array): Batch {
  const requests = Reader.of([unpack(bytes)]).list(REQUESTS_MAX, requestFromFields)
  const batch: Batch = { digest: batchDigestOf(requests), requests }
  encodedBatches.set(batch, bytes)
  return batch
}
