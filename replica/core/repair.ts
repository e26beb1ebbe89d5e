import type { RowMismatch } from './event.ts'

/** Rows that are named again when they are repaired. */
const NAMED_ROWS_MAX = 100

/** [CP6] Rows here that were changed behind this replica's back: to be read anew, and replaced by what others have. */
export class Repair {
  #isDue = false
  /** The database has read its rows anew since the last was found. */
  #isScanned = false
  #named: readonly RowMismatch[] = []

  get isDue(): boolean {
    return this.#isDue
  }

  /** Whether the next 'begin-transfer' must not trust the rows here. */
  get needsScan(): boolean {
    return this.#isDue && !this.#isScanned
  }

  /** Others have another state: some rows are wrong, nobody knows which. */
  onDivergence(): void {
    this.#isDue = true
  }

  onMismatch(rows: readonly RowMismatch[]): void {
    this.#isDue = true
    this.#isScanned = false
    this.#named = distinct([...this.#named, ...rows]).slice(0, NAMED_ROWS_MAX)
  }

  onScanned(): void {
    if (this.#isDue) this.#isScanned = true
  }

  /** What was read is forgotten with the connection. */
  onReconnected(): void {
    this.#isScanned = false
  }

  /**
   * Others' state is in place. Returns the rows that are right now: those that the database found wrong, and those that
   * were named before, though the state that was fetched may have moved on from them.
   */
  onInstalled(repaired: readonly RowMismatch[]): readonly RowMismatch[] {
    if (!this.#isScanned) return repaired
    const rows = distinct([...repaired, ...this.#named])
    this.#isDue = false
    this.#isScanned = false
    this.#named = []
    return rows
  }
}

/** The first of those about one row's column. */
function distinct(rows: readonly RowMismatch[]): RowMismatch[] {
  const byName = new Map<string, RowMismatch>()
  for (const row of rows) {
    const name = `${row.table}/${row.key}/${row.column}`
    if (!byName.has(name)) byName.set(name, row)
  }
  return [...byName.values()]
}
