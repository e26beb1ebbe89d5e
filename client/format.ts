import type { HistoryEntry, Operation, OperationResult } from '../protocol/operations.ts'
import { formatRequestName } from '../protocol/operations.ts'
import { assertNever } from '../protocol/types.ts'
import type { RequestOutcome } from './effects.ts'
import { type ClientError, IndeterminateError, RefusedError } from './errors.ts'

type Refusal = OperationResult & { kind: 'refused' }

/** Columns as wide as their widest cell; numbers, and cells without one, to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const isNumeric = head.map(
    (_, i) => rows.length > 0 && rows.every((row) => /^(-?\d+(\.\d+)?)?$/.test(row[i] ?? '')),
  )
  const lineOf = (row: readonly string[]) =>
    row
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [head, ...rows].map(lineOf).join('\n')
}

/** One operation and its result, for people. */
export function formatResult(operation: Operation, result: OperationResult): string {
  switch (result.kind) {
    case 'refused':
      return `refused: ${describe(operation)}: ${new RefusedError(result).message}`
    case 'opened':
      return `opened ${result.account}`
    case 'balance':
      return `${result.account}: ${result.balance}`
    case 'history':
      return formatHistory(result.entries)
    case 'transferred':
      return formatTransfer(operation, result)
    case 'linked': {
      const inner = operation.kind === 'linked' ? operation.operations : []
      return inner
        .map((each, i) => formatResult(each, result.results[i] ?? MISSING))
        .join('\n')
        .replace(/^/gm, '  ')
    }
    case 'lookup':
      return result.entry === null ? 'no request' : `request ${result.entry.number}`
    case 'recovered':
      return `recovers under ${result.incarnation} from view ${result.view} on`
    default:
      return assertNever(result)
  }
}

const MISSING: Refusal = { kind: 'refused', code: 'linked-aborted', detail: '' }

function formatTransfer(operation: Operation, result: OperationResult & { kind: 'transferred' }): string {
  const { debitBalance, creditBalance } = result
  switch (operation.kind) {
    case 'deposit':
      return `deposited ${operation.amount} to ${operation.account}; ${operation.account}: ${creditBalance}`
    case 'withdraw':
      return `withdrew ${operation.amount} from ${operation.account}; ${operation.account}: ${debitBalance}`
    case 'transfer': {
      const { from, to, amount } = operation
      return `moved ${amount} from ${from} to ${to}; ${from}: ${debitBalance}, ${to}: ${creditBalance}`
    }
    default:
      return `${operation.kind}: done`
  }
}

function formatHistory(entries: readonly HistoryEntry[]): string {
  if (entries.length === 0) return 'no transfers'
  return table(
    ['seq', 'index', 'from', 'to', 'amount'],
    entries.map(({ seq, index, debit, credit, amount }) => [
      `${seq}`,
      `${index}`,
      debit,
      credit,
      `${amount}`,
    ]),
  )
}

/** As it could be typed. */
export function describe(operation: Operation): string {
  switch (operation.kind) {
    case 'deposit':
    case 'withdraw':
      return `${operation.kind} ${operation.account} ${operation.amount}`
    case 'transfer':
      return `transfer ${operation.from} ${operation.to} ${operation.amount}`
    case 'balance':
      return `get ${operation.account}`
    case 'open':
    case 'history':
      return `${operation.kind} ${operation.account}`
    case 'linked':
      return `linked { ${operation.operations.map(describe).join('; ')} }`
    case 'lookup':
      return 'lookup'
    case 'recover':
      return `recover ${operation.view}`
    default:
      return assertNever(operation)
  }
}

/** The outcome of a request in doubt, for people. */
export function formatOutcome(outcome: RequestOutcome): string {
  switch (outcome.kind) {
    case 'executed': {
      const refused = outcome.results.filter(({ kind }) => kind === 'refused')
      const reasons = refused.map((result) => (result.kind === 'refused' ? result.code : ''))
      const note = refused.length === 0 ? '' : `, ${refused.length} refused (${reasons.join(', ')})`
      return `executed: ${outcome.results.length} operations${note}`
    }
    case 'not-executed':
      return 'not executed, and it never will be'
    case 'unknown':
      return 'cannot tell: a later request on its lane has replaced it'
    default:
      return assertNever(outcome)
  }
}

/** An error as a field of a JSON line. */
export function errorFields(error: ClientError): Record<string, unknown> {
  const { code, message } = error
  if (error instanceof RefusedError) return { code, message, detail: error.detail, index: error.index }
  if (error instanceof IndeterminateError) {
    return { code, message, request: formatRequestName(error.request), ...error.slice, why: error.why }
  }
  return { code, message }
}

/** One line of JSON: money in quotes since it may exceed 2^53, bytes as hex. */
export const jsonLine = (fields: Record<string, unknown>): string =>
  JSON.stringify(fields, (_, value: unknown) => {
    if (typeof value === 'bigint') return value.toString()
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  })
