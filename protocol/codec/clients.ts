import type { Read, ReadReply, Reply } from '../messages.ts'
import { MalformedError, Reader } from '../reader.ts'
import type { Lane, PrincipalId, RequestNumber, Seq } from '../types.ts'
import { assertNever, digestToBytes } from '../types.ts'
import { ACCOUNT_CHARACTERS_MAX, BODY_BYTES_MAX, LANES_MAX, READ_ACCOUNTS_MAX, UINT32_MAX } from './bounds.ts'

/** What replicas answer clients, and quorum reads. Every reader throws MalformedError. */
const OUTCOME = { executed: 1, 'number-reused': 2, superseded: 3 } as const

export const replyToFields = (reply: Reply): unknown[] => [
  reply.client,
  reply.lane,
  reply.number,
  digestToBytes(reply.requestDigest),
  ...outcomeToFields(reply.outcome),
]

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

export function replyFromFields(fields: Reader): Reply {
  const client = fields.integer(UINT32_MAX) as PrincipalId
  const lane = fields.integer(LANES_MAX) as Lane
  const number = fields.integer() as RequestNumber
  const requestDigest = fields.digest()
  return { type: 'reply', client, lane, number, requestDigest, outcome: outcomeFromFields(fields) }
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

export const readToFields = (read: Read): unknown[] => [read.nonce, read.accounts]

export function readFromFields(fields: Reader): Read {
  const nonce = fields.uint48()
  const accounts = fields.list(READ_ACCOUNTS_MAX, (value) =>
    Reader.of([value]).string(ACCOUNT_CHARACTERS_MAX),
  )
  return { type: 'read', nonce, accounts }
}

export const readReplyToFields = (reply: ReadReply): unknown[] => [
  reply.nonce,
  reply.values.map(({ account, balance, version }) => [account, balance, version]),
]

export function readReplyFromFields(fields: Reader): ReadReply {
  const nonce = fields.uint48()
  const values = fields.list(READ_ACCOUNTS_MAX, (value) => {
    const row = Reader.of(value, 3)
    const account = row.string(ACCOUNT_CHARACTERS_MAX)
    const balance = row.nullable((amount) => Reader.of([amount]).bigint())
    return { account, balance, version: row.integer() as Seq }
  })
  return { type: 'read-reply', nonce, values }
}
