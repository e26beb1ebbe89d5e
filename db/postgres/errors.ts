import pg from 'pg'
import { StoreError, type StoreErrorCode } from '../store.ts'

/** SQLSTATEs that our own statements raise: see ledger_require in migrations. */
export const MOVED_ON = 'PB001'
export const ROW_MISMATCH = 'PB002'

export const isRowMismatch = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === ROW_MISMATCH

/** Connection failures, resources, an operator who stops the server: gone after a while. */
const ENVIRONMENT = /^(08|53|57P0|58)/
/** Rolled back for someone else's sake: a lock, a cancelled statement. */
const ROLLED_BACK = /^(40|55P03|57014)/

/**
 * What the environment did, as a StoreError. `committing`: the statement may have committed before its answer was
 * lost, so that only a new connection can tell [D3].
 */
export function storeError(cause: unknown, what: string, committing = false): StoreError {
  if (cause instanceof StoreError) return cause
  return new StoreError(codeOf(cause, committing), `${what}: ${reasonOf(cause)}`, { cause })
}

/** A refused connection to a name with several addresses is an AggregateError, whose own message is empty. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join('; ')
  // Which key is in the way of a row.
  if (cause instanceof pg.DatabaseError && cause.detail) return `${cause.message}: ${cause.detail}`
  return cause instanceof Error ? cause.message : String(cause)
}

function codeOf(cause: unknown, committing: boolean): StoreErrorCode {
  const sqlState = cause instanceof pg.DatabaseError ? cause.code : undefined
  // No answer of the server at all: the socket broke.
  if (sqlState === undefined || ENVIRONMENT.test(sqlState)) return committing ? 'reconcile' : 'unavailable'
  if (ROLLED_BACK.test(sqlState)) return 'unavailable'
  return sqlState === MOVED_ON ? 'reconcile' : 'broken'
}
