import { headerFromFields } from '../../../protocol/codec/votes.ts'
import type { Header } from '../../../protocol/messages.ts'
import { unpack } from '../../../protocol/msgpack.ts'
import { MalformedError, Reader } from '../../../protocol/reader.ts'
import type { Seq } from '../../../protocol/types.ts'
import type { VoteRecord } from '../../../replica/core/vote-record.ts'
import { decodeRecord, RECORD_TYPE } from '../../../replica/runtime/vote-log/record-codec.ts'

/**
 * A record whose batch is not decoded: each of the replicas' logs has the same bytes of it, and once is enough.
 * `header` is null for a batch that came without one.
 */
export type LoggedBody = {
  readonly kind: 'body'
  readonly seq: Seq
  readonly header: Header | null
  readonly bytes: Uint8Array
}

export type LoggedRecord = LoggedBody | Exclude<VoteRecord, { readonly kind: 'pre-prepare' | 'batch' }>

const BATCH_BYTES_MAX = 2 ** 28

/** Undefined for bytes that are no record. Byte strings are views into `payload`. */
export function loggedRecord(type: number, payload: Buffer): LoggedRecord | undefined {
  if (type === RECORD_TYPE['pre-prepare'] || type === RECORD_TYPE.batch) return loggedBody(type, payload)
  const record = decodeRecord(payload)
  return record?.kind === 'pre-prepare' || record?.kind === 'batch' ? undefined : record
}

function loggedBody(type: number, payload: Buffer): LoggedBody | undefined {
  try {
    const fields = Reader.of(unpack(payload), 3)
    if (fields.integer(255) !== type) return undefined
    if (type === RECORD_TYPE.batch) {
      const seq = fields.integer() as Seq
      return { kind: 'body', seq, header: null, bytes: fields.bytes(BATCH_BYTES_MAX) }
    }
    const header = headerFromFields(fields.any())
    return { kind: 'body', seq: header.seq, header, bytes: fields.bytes(BATCH_BYTES_MAX) }
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}
