import type { Logger } from 'pino'
import { describeEvidence } from '../../protocol/evidence.ts'
import type { Seq } from '../../protocol/types.ts'
import type { Observation } from '../core/effect.ts'
import type { RowMismatch } from '../core/event.ts'
import type { Fetched } from './state-work.ts'

/** Of a whole table that was emptied, so many rows are named. */
const ROWS_NAMED_MAX = 20

type Range = { from: Seq; to: Seq; count: number }

/**
 * What of a replica's life belongs into its log file: what is rare, and what a person should hear of. Batches that came
 * from others, or again from the own log, are told of together, once they are executed.
 */
export class Journal {
  readonly #log: Logger
  /** [CP5] Since the last time that this replica was level. */
  #fetched: (Range & { proof: number; words: number }) | null = null
  /** [D4] Batches of the own vote log that the database lacked, and does not have yet. */
  #redo: Range | null = null
  /** What the database has. */
  #executed: Seq
  readonly #takeFetched: () => Fetched

  constructor(args: {
    readonly log: Logger
    readonly lastExecuted: Seq
    readonly takeFetched: () => Fetched
  }) {
    this.#log = args.log
    this.#executed = args.lastExecuted
    this.#takeFetched = args.takeFetched
  }

  /** A new connection, or an installed state: the database stands there now. */
  onDatabase(lastExecuted: Seq): void {
    this.#executed = lastExecuted
    this.#redo = null
  }

  observe(what: Observation): void {
    const log = this.#log
    switch (what.kind) {
      case 'committed':
        return this.#onCommitted(what)
      case 'executed':
        return this.#onExecuted(what.seq)
      case 'caught-up':
        return this.#onLevel()
      case 'transfer-installed':
        this.#onLevel()
        this.onDatabase(what.seq)
        return log.info({ ...what, ...this.#takeFetched() }, what.kind)
      case 'tampered':
        for (const row of what.rows.slice(0, ROWS_NAMED_MAX)) {
          log.warn({ kind: what.kind, row }, `changed behind this replica's back: ${describeRow(row)}`)
        }
        return
      case 'repaired':
        for (const row of what.rows.slice(0, ROWS_NAMED_MAX)) {
          log.warn({ kind: what.kind, row }, `repaired from the other replicas: ${describeRow(row)}`)
        }
        return
      case 'evidence': {
        const { accused } = what.evidence
        const of = describeEvidence(what.evidence)
        return log.warn({ kind: what.kind, accused, of }, `replica ${accused} signed ${of}: proof is kept`)
      }
      case 'primary-too-slow':
      case 'view-change-started':
      case 'view-entered':
      case 'transfer-started':
      case 'transfer-moved':
      case 'transfer-source-replaced':
      case 'amnesiac-recovering':
      case 'amnesiac-votes-again':
        return log.info(what, what.kind)
      case 'stable':
        return log.debug(what, what.kind)
    }
  }

  #onCommitted({ seq, how }: Extract<Observation, { kind: 'committed' }>): void {
    if (how === 'log' && seq > this.#executed) this.#redo = widened(this.#redo, seq)
    if (how !== 'proof' && how !== 'words') return
    const { proof = 0, words = 0 } = this.#fetched ?? {}
    const by = { proof: proof + (how === 'proof' ? 1 : 0), words: words + (how === 'words' ? 1 : 0) }
    this.#fetched = { ...widened(this.#fetched, seq), ...by }
  }

  #onExecuted(seq: Seq): void {
    this.#executed = seq
    const redo = this.#redo
    if (redo === null || seq < redo.to) return
    this.#redo = null
    this.#log.info({ kind: 'redone', ...redo }, 'redone')
  }

  #onLevel(): void {
    const fetched = this.#fetched
    this.#fetched = null
    if (fetched !== null) this.#log.info({ kind: 'caught-up', ...fetched }, 'caught-up')
  }
}

const widened = (range: Range | null, seq: Seq): Range =>
  range === null
    ? { from: seq, to: seq, count: 1 }
    : {
        from: seq < range.from ? seq : range.from,
        to: seq > range.to ? seq : range.to,
        count: range.count + 1,
      }

function describeRow({ table, key, column, expected, found }: RowMismatch): string {
  const where = `table ${table}, row ${key}`
  if (column !== null)
    return `${where}, column ${column}: ${found ?? 'null'} where ${expected ?? 'null'} belongs`
  return found === null ? `${where} is missing` : `${where} should not be there`
}
