import type { AccountId, ReadValue } from '../../protocol/operations.ts'
import type { Seq } from '../../protocol/types.ts'
import { StoreError } from '../store.ts'
import { textArray } from './arrays.ts'
import { column, type Session, type TextRow } from './session.ts'

export type ReadAnswer = { readonly lastExecuted: Seq; readonly values: readonly ReadValue[] }

type Waiting = {
  readonly accounts: readonly AccountId[]
  readonly resolve: (answer: ReadAnswer) => void
  readonly reject: (error: unknown) => void
}

/** [NC7] One query at a time; the reads that arrive meanwhile share the next one, and so one snapshot. */
export class CoalescedReads {
  readonly #session: Session
  #waiting: Waiting[] = []
  #busy = false

  constructor(session: Session) {
    this.#session = session
  }

  read(accounts: readonly AccountId[]): Promise<ReadAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<ReadAnswer>()
    this.#waiting.push({ accounts, resolve, reject })
    if (!this.#busy) void this.#drain()
    return promise
  }

  async #drain(): Promise<void> {
    this.#busy = true
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting
      this.#waiting = []
      try {
        const answer = answerFrom(await this.#query(waiting))
        for (const { accounts, resolve } of waiting) resolve(answer(accounts))
      } catch (error) {
        for (const { reject } of waiting) reject(error)
      }
    }
    this.#busy = false
  }

  #query(waiting: readonly Waiting[]): Promise<readonly TextRow[]> {
    const [only] = waiting
    const names =
      waiting.length === 1 && only ? only.accounts : new Set(waiting.flatMap(({ accounts }) => accounts))
    return this.#session.rows({
      name: 'read',
      text: `select m.last_executed, a.id, a.balance, a.version
        from meta m left join accounts a on a.id = any($1::text[])`,
      values: [textArray([...names])],
    })
  }
}

/** The first row names the snapshot's position, even where no account was found. */
function answerFrom(rows: readonly TextRow[]): (accounts: readonly AccountId[]) => ReadAnswer {
  const [first] = rows
  if (first === undefined) throw new StoreError('broken', 'the table meta is empty')
  const lastExecuted = Number(column(first, 0)) as Seq
  const found = new Map(rows.map((row) => [row[1], row]))
  return (accounts) => ({
    lastExecuted,
    values: accounts.map((account): ReadValue => {
      const row = found.get(account)
      if (row === undefined) return { account, balance: null, version: 0 as Seq }
      return { account, balance: BigInt(column(row, 2)), version: Number(column(row, 3)) as Seq }
    }),
  })
}
