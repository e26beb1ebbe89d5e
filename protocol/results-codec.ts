import { pack, unpack } from './msgpack.ts'
import type { HistoryEntry, OperationResult } from './operations.ts'
import { HISTORY_ENTRIES_MAX, LINKED_OPERATIONS_MAX, MONEY_MAX, REFUSAL_CODES } from './operations.ts'
import { MalformedError, Reader } from './reader.ts'
import type { RequestNumber, Seq, View } from './types.ts'
import { assertNever, digestToBytes } from './types.ts'

/**
 * The results of one request as msgpack arrays, first field the kind. Replicas encode them once: those bytes are
 * digested [NC9], stored in the client table [NC5], sent, and compared by clients [NC6]. So the encoding is final:
 * arrays, integers, strings and byte strings only, no floats; integers above 2^32 are 64-bit ones.
 */
const KIND = {
  opened: 1,
  transferred: 2,
  balance: 3,
  history: 4,
  linked: 5,
  lookup: 6,
  refused: 7,
  recovered: 8,
} as const

const RESULTS_MAX = 10_000
const RESULT_BYTES_MAX = 16_000_000
const ACCOUNT_CHARACTERS_MAX = 64

const UINT32_MAX = 2 ** 32 - 1
/** Longest `detail` of a refusal, in UTF-16 units. */
export const REFUSAL_DETAIL_CHARACTERS_MAX = 64

export const encodeResults = (results: readonly OperationResult[]): Uint8Array => pack(results.map(toFields))

/** Undefined for anything that `encodeResults` could not have made: a lying replica's bytes never throw. */
export function decodeResults(bytes: Uint8Array): OperationResult[] | undefined {
  try {
    return Reader.of([unpack(bytes)]).list(RESULTS_MAX, resultFrom)
  } catch (error) {
    if (error instanceof MalformedError) return undefined
    throw error
  }
}

/** msgpackr writes numbers above 2^32 as floats; a bigint becomes a 64-bit integer. */
const integer = (value: number): number | bigint => (value <= UINT32_MAX ? value : BigInt(value))

function toFields(result: OperationResult): unknown[] {
  switch (result.kind) {
    case 'opened':
      return [KIND.opened, result.account]
    case 'transferred': {
      const { id, debitBalance, creditBalance } = result
      return [KIND.transferred, integer(id.seq), id.index, debitBalance, creditBalance]
    }
    case 'balance':
      return [KIND.balance, result.account, result.balance, integer(result.version)]
    case 'history':
      return [KIND.history, result.entries.map((e) => [integer(e.seq), e.index, e.debit, e.credit, e.amount])]
    case 'linked':
      return [KIND.linked, result.results.map(toFields)]
    case 'lookup': {
      const { entry } = result
      if (entry === null) return [KIND.lookup, null]
      return [KIND.lookup, [integer(entry.number), digestToBytes(entry.requestDigest), entry.result]]
    }
    case 'recovered':
      return [KIND.recovered, integer(result.incarnation), integer(result.view)]
    case 'refused':
      return [KIND.refused, REFUSAL_CODES.indexOf(result.code), result.detail, result.index ?? null]
    default:
      return assertNever(result)
  }
}

function resultFrom(value: unknown): OperationResult {
  const fields = Reader.of(value)
  const kind = fields.integer(255)
  if (kind !== KIND.linked) return plainResultFrom(kind, fields)
  const results = fields.list(LINKED_OPERATIONS_MAX, (inner) => {
    const innerFields = Reader.of(inner)
    return plainResultFrom(innerFields.integer(255), innerFields)
  })
  return finished(fields, { kind: 'linked', results })
}

/** Any result but a linked group, which cannot nest. */
function plainResultFrom(kind: number, fields: Reader): OperationResult {
  const account = () => fields.string(ACCOUNT_CHARACTERS_MAX)
  switch (kind) {
    case KIND.opened:
      return finished(fields, { kind: 'opened', account: account() })
    case KIND.transferred:
      return finished(fields, {
        kind: 'transferred',
        id: { seq: fields.integer() as Seq, index: fields.integer(UINT32_MAX) },
        debitBalance: money(fields),
        creditBalance: money(fields),
      })
    case KIND.balance:
      return finished(fields, {
        kind: 'balance',
        account: account(),
        balance: money(fields),
        version: fields.integer() as Seq,
      })
    case KIND.history:
      return finished(fields, { kind: 'history', entries: fields.list(HISTORY_ENTRIES_MAX, entryFrom) })
    case KIND.lookup:
      return finished(fields, { kind: 'lookup', entry: fields.nullable(laneEntryFrom) })
    case KIND.recovered:
      return finished(fields, {
        kind: 'recovered',
        incarnation: fields.integer() as RequestNumber,
        view: fields.integer() as View,
      })
    case KIND.refused:
      return finished(fields, refusedFrom(fields))
    default:
      throw new MalformedError('unknown result')
  }
}

function entryFrom(value: unknown): HistoryEntry {
  const fields = Reader.of(value, 5)
  return {
    seq: fields.integer() as Seq,
    index: fields.integer(UINT32_MAX),
    debit: fields.string(ACCOUNT_CHARACTERS_MAX),
    credit: fields.string(ACCOUNT_CHARACTERS_MAX),
    amount: money(fields),
  }
}

function laneEntryFrom(value: unknown) {
  const fields = Reader.of(value, 3)
  return {
    number: fields.integer() as RequestNumber,
    requestDigest: fields.digest(),
    result: fields.bytes(RESULT_BYTES_MAX),
  }
}

function refusedFrom(fields: Reader): OperationResult {
  const code = REFUSAL_CODES[fields.integer(255)]
  if (code === undefined) throw new MalformedError('unknown refusal')
  const detail = fields.string(REFUSAL_DETAIL_CHARACTERS_MAX)
  const index = fields.nullable((value) => Reader.of([value]).integer(LINKED_OPERATIONS_MAX - 1))
  return index === null ? { kind: 'refused', code, detail } : { kind: 'refused', code, detail, index }
}

function money(fields: Reader): bigint {
  const value = fields.bigint()
  if (value > MONEY_MAX || value < -MONEY_MAX) throw new MalformedError('money out of bounds')
  return value
}

function finished<T extends OperationResult>(fields: Reader, result: T): T {
  if (fields.remaining > 0) throw new MalformedError('too many fields')
  return result
}
