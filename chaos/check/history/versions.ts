import type { AccountRow } from '../../../db/rows.ts'
import type { AccountId } from '../../../protocol/operations.ts'

/** From which seq on, and up to below which, an account had a balance at a version. */
export type Span = { readonly from: number; readonly until: number }

/** Each version of a row and the balance it had, in the order in which they were made. */
type Timeline = { readonly seqs: number[]; readonly balances: bigint[] }

/** What each account's balance was at every sequence number. Only accounts that somebody read are kept. */
export class AccountVersions {
  readonly #timelines = new Map<AccountId, Timeline>()

  /** `genesis`: the rows at seq 0. */
  constructor(accounts: Iterable<AccountId>, genesis: Iterable<AccountRow>) {
    for (const id of accounts) this.#timelines.set(id, { seqs: [], balances: [] })
    for (const row of genesis) this.onChanged(row)
  }

  /** A batch left the row like this; its version is that batch's seq. */
  onChanged({ id, version, balance }: AccountRow): void {
    const timeline = this.#timelines.get(id)
    if (timeline === undefined) return
    timeline.seqs.push(version)
    timeline.balances.push(balance)
  }

  /** Undefined when the account never had that balance at that version. Version 0 and null: it was not there. */
  spanOf(value: {
    readonly account: AccountId
    readonly balance: bigint | null
    readonly version: number
  }): Span | undefined {
    const { seqs, balances } = this.#timelines.get(value.account) ?? { seqs: [], balances: [] }
    if (value.balance === null) {
      const opened = seqs[0] ?? Number.POSITIVE_INFINITY
      return value.version === 0 && opened > 0 ? { from: 0, until: opened } : undefined
    }
    const place = placeIn(seqs, value.version)
    if (place === undefined || balances[place] !== value.balance) return undefined
    return { from: value.version, until: seqs[place + 1] ?? Number.POSITIVE_INFINITY }
  }
}

/** By halving: the list rises. */
function placeIn(seqs: readonly number[], seq: number): number | undefined {
  let low = 0
  let high = seqs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((seqs[middle] ?? 0) < seq) low = middle + 1
    else high = middle
  }
  return seqs[low] === seq ? low : undefined
}
