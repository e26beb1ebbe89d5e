import type { Logger } from 'pino'
import type { Observation } from '../core/effect.ts'
import type { RowMismatch } from '../core/event.ts'

/** Of a whole table that was emptied, so many rows are named. */
const ROWS_NAMED_MAX = 20

/** What of a replica's life belongs into its log file: what is rare, and what a person should hear of. */
export function journal(log: Logger, what: Observation): void {
  switch (what.kind) {
    case 'tampered':
      for (const row of what.rows.slice(0, ROWS_NAMED_MAX)) {
        log.warn({ row }, `changed behind this replica's back: ${describeRow(row)}`)
      }
      return
    case 'repaired':
      for (const row of what.rows.slice(0, ROWS_NAMED_MAX)) {
        log.warn({ row }, `repaired from the other replicas: ${describeRow(row)}`)
      }
      return
    case 'view-change-started':
    case 'view-entered':
    case 'transfer-started':
    case 'transfer-moved':
    case 'transfer-installed':
    case 'transfer-source-replaced':
    case 'amnesiac-recovering':
    case 'amnesiac-votes-again':
      return log.info(what, what.kind)
    case 'stable':
    case 'caught-up':
      return log.debug(what, what.kind)
  }
}

function describeRow({ table, key, column, expected, found }: RowMismatch): string {
  const where = `table ${table}, row ${key}`
  if (column !== null)
    return `${where}, column ${column}: ${found ?? 'null'} where ${expected ?? 'null'} belongs`
  return found === null ? `${where} is missing` : `${where} should not be there`
}
