import pg from 'pg'
import { StoreError, type StoreErrorCode } from '../store.ts'

/** SQLSTATEs that our own statements raise: see ledger_require in migrations. */
export const MOVED_ON = 'PB001'
export const ROW_MISMATCH = 'PB002'

const UNIQUE_VIOLATION = '23505'

/** [CP6] A write met a row that is not as this replica left it, or one that should not be there. */
export const isRowMismatch = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && (error.code === ROW_MISMATCH || error.code === UNIQUE_VIOLATION)

/** Connection failures, an operator who stops the server, its files: gone after a while. */
const ENVIRONMENT = /^(08|57P0|58)/
/**
 * The server said no, so nothing was committed, and may say yes later: a lock, a cancelled statement, a full disk or
 * other resources, a server that only reads for now.
 */
const ROLLED_BACK = /^(25006|40|53|55P03|57014)/
/** Where Postgres extends and writes files: EFBIG, of a file size limit, has no SQLSTATE but 'internal error'. */
const FILE_SOURCES = new Set(['md.c', 'fd.c', 'buffile.c'])
const INTERNAL_ERROR = 'XX000'

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

const isFileError = (cause: unknown): boolean =>
  cause instanceof pg.DatabaseError &&
  cause.code === INTERNAL_ERROR &&
  cause.file !== undefined &&
  FILE_SOURCES.has(cause.file)

function codeOf(cause: unknown, committing: boolean): StoreErrorCode {
  const sqlState = cause instanceof pg.DatabaseError ? cause.code : undefined
  // No answer of the server at all: the socket broke.
  if (sqlState === undefined || ENVIRONMENT.test(sqlState)) return committing ? 'reconcile' : 'unavailable'
  if (ROLLED_BACK.test(sqlState) || isFileError(cause)) return 'unavailable'
  return sqlState === MOVED_ON ? 'reconcile' : 'broken'
}
