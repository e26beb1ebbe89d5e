import type { AccountId } from '../../protocol/operations.ts'
import type { AccountRow } from '../rows.ts'

/** About 200 bytes each. */
const ROWS_MAX = 50_000

/**
 * Account rows as this process committed or last read them. It is the only writer [D3], so they are what the database
 * holds, and every write-back compares: a row that was changed behind our back is noticed [CP6], where loading it
 * again would have executed on it.
 */
export class AccountCache {
  readonly #rows = new Map<AccountId, AccountRow>()

  get(id: AccountId): AccountRow | undefined {
    return this.#rows.get(id)
  }

  put(row: AccountRow): void {
    this.#rows.set(row.id, row)
  }

  /** Drops what came first; between runs, since a run keeps what it touches. */
  trim(): void {
    for (const id of this.#rows.keys()) {
      if (this.#rows.size <= ROWS_MAX) return
      this.#rows.delete(id)
    }
  }
}
