import type { TransferRow } from '../../../db/rows.ts'
import type { HistoryQuery } from '../../../db/state-machine/run-state.ts'
import type { AccountId, TransferId } from '../../../protocol/operations.ts'
import type { Seq } from '../../../protocol/types.ts'

const ROOM_MIN = 1_024
/** Columns of 8 bytes of a transfer; the amount beside them. */
const COLUMNS = 9

/**
 * Every transfer of a long history, in some 100 bytes each: columns of numbers instead of objects. Histories are read from
 * lists of rows, one for each account.
 */
export class TransferStore {
  #columns = new Float64Array(ROOM_MIN * COLUMNS)
  #amounts = new BigInt64Array(ROOM_MIN)
  #count = 0
  readonly #names: AccountId[] = []
  readonly #numbers = new Map<AccountId, number>()
  /** By an account's number: its rows, oldest first. */
  readonly #rowsOf: number[][] = []

  get count(): number {
    return this.#count
  }

  push(transfer: TransferRow): void {
    const row = this.#count
    if (row === this.#amounts.length) this.#enlarge()
    const debit = this.#numberOf(transfer.debit)
    const credit = this.#numberOf(transfer.credit)
    const { seq, index, debitEntry, creditEntry, debitPrevious, creditPrevious } = transfer
    const at = row * COLUMNS
    const columns = this.#columns
    columns[at] = seq
    columns[at + 1] = index
    columns[at + 2] = debit * 2 ** 26 + credit
    columns[at + 3] = debitEntry
    columns[at + 4] = debitPrevious?.seq ?? 0
    columns[at + 5] = debitPrevious?.index ?? 0
    columns[at + 6] = creditEntry
    columns[at + 7] = creditPrevious?.seq ?? 0
    columns[at + 8] = creditPrevious?.index ?? 0
    this.#amounts[row] = transfer.amount
    this.#rowsOf[debit]?.push(row)
    if (credit !== debit) this.#rowsOf[credit]?.push(row)
    this.#count = row + 1
  }

  history({ account, before, count }: HistoryQuery): TransferRow[] {
    const number = this.#numbers.get(account)
    const rows = number === undefined ? [] : (this.#rowsOf[number] ?? [])
    const found: TransferRow[] = []
    const end = before === null ? rows.length : this.#firstAtOrAfter(rows, before)
    for (let i = end - 1; i >= 0 && found.length < count; i--) found.push(this.#rowAt(rows[i] ?? 0))
    return found
  }

  /** The place in an account's list of the first transfer whose seq is `seq` or above. */
  #firstAtOrAfter(rows: readonly number[], seq: number): number {
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#columns[(rows[middle] ?? 0) * COLUMNS] ?? 0) < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  #rowAt(row: number): TransferRow {
    const at = row * COLUMNS
    const column = (n: number): number => this.#columns[at + n] ?? 0
    const accounts = column(2)
    const debit = Math.floor(accounts / 2 ** 26)
    return {
      seq: column(0) as Seq,
      index: column(1),
      debit: this.#names[debit] ?? '',
      credit: this.#names[accounts - debit * 2 ** 26] ?? '',
      amount: this.#amounts[row] ?? 0n,
      debitEntry: column(3),
      debitPrevious: placeOf(column(4), column(5)),
      creditEntry: column(6),
      creditPrevious: placeOf(column(7), column(8)),
    }
  }

  #numberOf(account: AccountId): number {
    let number = this.#numbers.get(account)
    if (number === undefined) {
      number = this.#names.push(account) - 1
      this.#numbers.set(account, number)
      this.#rowsOf.push([])
    }
    return number
  }

  #enlarge(): void {
    const columns = new Float64Array(2 * this.#columns.length)
    columns.set(this.#columns)
    this.#columns = columns
    const amounts = new BigInt64Array(2 * this.#amounts.length)
    amounts.set(this.#amounts)
    this.#amounts = amounts
  }
}

/** No transfer is at seq 0. */
const placeOf = (seq: number, index: number): TransferId | null =>
  seq === 0 ? null : { seq: seq as Seq, index }
