import { genesisRows } from '../../../db/genesis-rows.ts'
import type { AccountRow, TransferRow } from '../../../db/rows.ts'
import type { Genesis } from '../../../protocol/config.ts'
import { type AccountId, EXTERNAL_ACCOUNT, MONEY_MAX } from '../../../protocol/operations.ts'
import type { PropertyReport } from '../finding.ts'
import { Tally } from '../tally.ts'

/** Balances as the transfers alone make them, from genesis on. */
export class Ledger {
  readonly #tally: Tally
  readonly #balances = new Map<AccountId, bigint>()
  /** Whose rows these are, for people. */
  readonly #whose: string
  readonly #replicas: readonly number[]

  constructor(
    genesis: Genesis,
    {
      tally,
      whose,
      replicas,
    }: { readonly tally: Tally; readonly whose: string; readonly replicas: readonly number[] },
  ) {
    this.#tally = tally
    this.#whose = whose
    this.#replicas = replicas
    for (const { id, balance } of genesisRows(genesis).accounts) this.#balances.set(id, balance)
    this.#checkSum(0, this.#balances.values())
  }

  /** Of one seq, in order. */
  onTransfers(seq: number, transfers: readonly TransferRow[]): void {
    this.#tally.looked(seq)
    for (const { debit, credit, amount, index } of transfers) {
      const from = (this.#balances.get(debit) ?? 0n) - amount
      const to = (this.#balances.get(credit) ?? 0n) + amount
      this.#balances.set(debit, from)
      this.#balances.set(credit, to)
      if (amount <= 0n) this.#found(seq, `transfer ${seq}/${index} moves ${amount}`)
      if (debit === credit) this.#found(seq, `transfer ${seq}/${index} is from ${debit} to itself`)
      if (from < 0n && debit !== EXTERNAL_ACCOUNT)
        this.#found(seq, `transfer ${seq}/${index} leaves ${debit} with ${from}`)
      if (from < -MONEY_MAX || to > MONEY_MAX)
        this.#found(seq, `transfer ${seq}/${index} leaves a balance beyond what a row holds`)
    }
  }

  /** The accounts' rows at the end are what the transfers made, and their sum is 0. */
  onAccounts(seq: number, accounts: Iterable<Pick<AccountRow, 'id' | 'balance'>>): void {
    const balances: bigint[] = []
    for (const { id, balance } of accounts) {
      balances.push(balance)
      const made = this.#balances.get(id) ?? 0n
      if (balance !== made)
        this.#found(seq, `account ${id} has ${balance}, and its transfers make it ${made}`)
      if (balance < 0n && id !== EXTERNAL_ACCOUNT) this.#found(seq, `account ${id} has ${balance}`)
    }
    this.#checkSum(seq, balances)
  }

  #checkSum(seq: number, balances: Iterable<bigint>): void {
    let sum = 0n
    for (const balance of balances) sum += balance
    if (sum !== 0n) this.#found(seq, `the balances add up to ${sum}, not to 0`)
  }

  #found(seq: number, what: string): void {
    this.#tally.found({ what: `seq ${seq}, ${this.#whose}: ${what}`, seq, replicas: this.#replicas })
  }
}

/** Money is neither made nor lost at any sequence number, and nobody but the external account owes. */
export class ConservationCheck {
  readonly tally = new Tally('conservation')
  readonly #genesis: Genesis

  constructor(genesis: Genesis) {
    this.#genesis = genesis
  }

  ledgerOf(whose: string, replicas: readonly number[]): Ledger {
    return new Ledger(this.#genesis, { tally: this.tally, whose, replicas })
  }

  /** All of one database's own rows. @throws what reading them throws */
  async onDatabase(
    replica: number,
    rows: {
      readonly transfers: Iterable<TransferRow>
      readonly accounts: Iterable<AccountRow>
      readonly lastExecuted: number
    },
  ): Promise<void> {
    const ledger = this.ledgerOf(`the database of replica ${replica}`, [replica])
    let batch: TransferRow[] = []
    for (const transfer of rows.transfers) {
      const [first] = batch
      if (first !== undefined && first.seq !== transfer.seq) {
        ledger.onTransfers(first.seq, batch)
        batch = []
      }
      batch.push(transfer)
    }
    const [first] = batch
    if (first !== undefined) ledger.onTransfers(first.seq, batch)
    ledger.onAccounts(rows.lastExecuted, rows.accounts)
    this.tally.looked(rows.lastExecuted)
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}
