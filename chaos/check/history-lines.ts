import { createReadStream } from 'node:fs'
import {
  type Customer,
  type Operation,
  type OperationResult,
  REFUSAL_CODES,
  type ReadValue,
  type SimpleOperation,
} from '../../protocol/operations.ts'
import {
  clientId,
  type Digest,
  isDigest,
  principalId,
  requestNumber,
  seq,
  view,
} from '../../protocol/types.ts'
import type { HistoryEvent, RequestPart } from './history.ts'
import { JsonFields } from './json-fields.ts'

/** A history is a JSON object per line: the event's fields, money as digits in quotes, bytes as hex. */
export const encodeHistoryEvent = (event: HistoryEvent): string => JSON.stringify(event, asJson)

/** `toJSON` of a Buffer comes before this function is asked; so the holder is looked at. */
function asJson(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  const held: unknown = typeof this === 'object' && this !== null ? Reflect.get(this, key) : undefined
  return held instanceof Uint8Array ? Buffer.from(held).toString('hex') : value
}

/** A line of a history that cannot be read: says which file, which line, which field. */
export class HistoryError extends Error {
  override name = 'HistoryError'
}

/** @throws FieldError, or SyntaxError for what is no JSON */
export function decodeHistoryLine(line: string): HistoryEvent {
  const parsed: unknown = JSON.parse(line)
  const fields = JsonFields.of(parsed)
  const type = fields.text('type')
  const head = { atUs: fields.number('atUs'), call: fields.whole('call') }
  switch (type) {
    case 'invoke':
      return {
        type,
        ...head,
        caller: fields.whole('caller'),
        client: fields.whole('client'),
        what: asked(fields.object('what')),
      }
    case 'ok':
      return { type, ...head, ...answered(fields) }
    case 'fail':
      return { type, ...head, code: fields.text('code') }
    case 'unknown':
      return { type, ...head, code: fields.text('code'), request: part(fields.object('request')) }
    case 'settled':
      return {
        type,
        ...head,
        outcome: outcome(fields),
        results: fields.isNull('results') ? null : fields.list('results', resultFrom),
      }
    default:
      return fields.unknown('type')
  }
}

/**
 * The events of a file in the order of its lines. A last line that a kill cut short (no line feed at its end) is left
 * out.
 *
 * @throws HistoryError that names the line; else what the file system throws
 */
export async function* readHistory(path: string): AsyncGenerator<HistoryEvent> {
  let number = 0
  for await (const lines of linesOf(path)) {
    for (const { text, isEnded } of lines) {
      number += 1
      if (text === '') continue
      let event: HistoryEvent
      try {
        event = decodeHistoryLine(text)
      } catch (error) {
        if (isEnded) throw historyError(path, number, error)
        return
      }
      yield event
    }
  }
}

type Line = { readonly text: string; readonly isEnded: boolean }

const LINE_FEED = 0x0a
const READ_BYTES = 1_048_576

/** Cut at line feeds alone: text may hold what else Unicode, and node:readline, take for a line's end. */
async function* linesOf(path: string): AsyncGenerator<readonly Line[]> {
  let rest: Buffer[] = []
  for await (const part of createReadStream(path, { highWaterMark: READ_BYTES })) {
    const chunk: Buffer = part
    const end = chunk.lastIndexOf(LINE_FEED)
    if (end < 0) {
      rest.push(chunk)
      continue
    }
    const whole = Buffer.concat([...rest, chunk.subarray(0, end)]).toString()
    rest = [chunk.subarray(end + 1)]
    yield whole.split('\n').map((text) => ({ text, isEnded: true }))
  }
  const text = Buffer.concat(rest).toString()
  if (text !== '') yield [{ text, isEnded: false }]
}

function historyError(path: string, line: number, cause: unknown): HistoryError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const hint = 'A history is written by `pbft chaos run` and not edited.'
  return new HistoryError(`${path}: line ${line}: ${why}. ${hint}`, { cause })
}

type Asked = Extract<HistoryEvent, { type: 'invoke' }>['what']

function asked(fields: JsonFields): Asked {
  const kind = fields.text('kind')
  if (kind === 'submit') return { kind, operations: fields.list('operations', operationFrom) }
  if (kind === 'read') return { kind, accounts: fields.texts('accounts') }
  return fields.unknown('kind')
}

type Answered =
  | { readonly request: RequestPart; readonly results: readonly OperationResult[] }
  | { readonly request: RequestPart | null; readonly values: readonly ReadValue[] }

function answered(fields: JsonFields): Answered {
  if (fields.any('values') === undefined) {
    return { request: part(fields.object('request')), results: fields.list('results', resultFrom) }
  }
  const request = fields.isNull('request') ? null : part(fields.object('request'))
  return { request, values: fields.list('values', valueFrom) }
}

function part(fields: JsonFields): RequestPart {
  return {
    client: clientId(fields.whole('client')),
    lane: fields.whole('lane'),
    number: requestNumber(fields.whole('number')),
    digest: digestFrom(fields, 'digest'),
    offset: fields.whole('offset'),
    count: fields.whole('count'),
  }
}

function digestFrom(fields: JsonFields, name: string): Digest {
  const text = fields.text(name)
  return isDigest(text) ? text : fields.unknown(name)
}

function outcome(fields: JsonFields): Extract<HistoryEvent, { type: 'settled' }>['outcome'] {
  const text = fields.text('outcome')
  if (text === 'executed' || text === 'not-executed' || text === 'unknown') return text
  return fields.unknown('outcome')
}

const valueFrom = (fields: JsonFields): ReadValue => ({
  account: fields.text('account'),
  balance: fields.isNull('balance') ? null : fields.bigint('balance'),
  version: seq(fields.whole('version')),
})

function operationFrom(fields: JsonFields): Operation {
  const kind = fields.text('kind')
  switch (kind) {
    case 'linked':
      return { kind, operations: fields.list('operations', simpleFrom) }
    case 'lookup':
      return { kind }
    case 'recover':
      return { kind, view: view(fields.whole('view')) }
    default:
      return simpleFrom(fields)
  }
}

function simpleFrom(fields: JsonFields): SimpleOperation {
  const kind = fields.text('kind')
  switch (kind) {
    case 'open': {
      const customer = fields.isNull('customer') ? null : customerFrom(fields.object('customer'))
      return { kind, account: fields.text('account'), owner: principalId(fields.whole('owner')), customer }
    }
    case 'deposit':
    case 'withdraw':
      return { kind, account: fields.text('account'), amount: fields.bigint('amount') }
    case 'transfer':
      return { kind, from: fields.text('from'), to: fields.text('to'), amount: fields.bigint('amount') }
    case 'balance':
      return { kind, account: fields.text('account') }
    case 'history': {
      const before = fields.isNull('before') ? null : seq(fields.whole('before'))
      return { kind, account: fields.text('account'), before, limit: fields.number('limit') }
    }
    default:
      return fields.unknown('kind')
  }
}

const customerFrom = (fields: JsonFields): Customer => ({
  name: fields.text('name'),
  address: fields.isNull('address') ? null : fields.text('address'),
})

function resultFrom(fields: JsonFields): OperationResult {
  const kind = fields.text('kind')
  switch (kind) {
    case 'opened':
      return { kind, account: fields.text('account') }
    case 'transferred': {
      const id = fields.object('id')
      return {
        kind,
        id: { seq: seq(id.whole('seq')), index: id.whole('index') },
        debitBalance: fields.bigint('debitBalance'),
        creditBalance: fields.bigint('creditBalance'),
      }
    }
    case 'balance': {
      const balance = fields.bigint('balance')
      return { kind, account: fields.text('account'), balance, version: seq(fields.whole('version')) }
    }
    case 'history':
      return { kind, entries: fields.list('entries', entryFrom) }
    case 'linked':
      return { kind, results: fields.list('results', resultFrom) }
    case 'lookup':
      return { kind, entry: fields.isNull('entry') ? null : laneEntryFrom(fields.object('entry')) }
    case 'recovered':
      return {
        kind,
        incarnation: requestNumber(fields.whole('incarnation')),
        view: view(fields.whole('view')),
      }
    case 'refused':
      return refusedFrom(fields)
    default:
      return fields.unknown('kind')
  }
}

const entryFrom = (fields: JsonFields) => ({
  seq: seq(fields.whole('seq')),
  index: fields.whole('index'),
  debit: fields.text('debit'),
  credit: fields.text('credit'),
  amount: fields.bigint('amount'),
})

const laneEntryFrom = (fields: JsonFields) => ({
  number: requestNumber(fields.whole('number')),
  requestDigest: digestFrom(fields, 'requestDigest'),
  result: fields.hexBytes('result'),
})

function refusedFrom(fields: JsonFields): OperationResult {
  const text = fields.text('code')
  const code = REFUSAL_CODES.find((known) => known === text) ?? fields.unknown('code')
  const refusal = { kind: 'refused', code, detail: fields.text('detail') } as const
  return fields.any('index') === undefined ? refusal : { ...refusal, index: fields.whole('index') }
}
