import type { ClientId, Digest, PrincipalId, RequestNumber, Seq, View } from './types.ts'

/** 1 to 64 of [A-Za-z0-9_.:-], starting with a letter or digit. Names that start with '@' belong to the ledger. */
export type AccountId = string
export const ACCOUNT_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/

/** The other side of deposits, withdrawals and genesis balances; the sum over all accounts stays 0. */
export const EXTERNAL_ACCOUNT: AccountId = '@external'

/** Largest absolute balance and amount, in minor units: what Postgres' bigint holds on both sides of zero. */
export const MONEY_MAX = 2n ** 63n - 1n

export const NAME_CHARACTERS_MAX = 200
export const HISTORY_ENTRIES_MAX = 100
export const LINKED_OPERATIONS_MAX = 64

export type Role = 'customer' | 'teller'

export type Customer = { readonly name: string; readonly address: string | null }

/** An operation that can stand in a linked group. Amounts are minor units. */
export type SimpleOperation =
  | {
      readonly kind: 'open'
      readonly account: AccountId
      /** Whom the account belongs to; only a teller may name another than itself. */
      readonly owner: PrincipalId
      /** Recorded for the owner when given: inserted, or replaced. */
      readonly customer: Customer | null
    }
  | { readonly kind: 'deposit'; readonly account: AccountId; readonly amount: bigint }
  | { readonly kind: 'withdraw'; readonly account: AccountId; readonly amount: bigint }
  | { readonly kind: 'transfer'; readonly from: AccountId; readonly to: AccountId; readonly amount: bigint }
  | { readonly kind: 'balance'; readonly account: AccountId }
  | {
      /** Newest first, transfers of a seq below `before`, or all when null. */
      readonly kind: 'history'
      readonly account: AccountId
      readonly before: Seq | null
      readonly limit: number
    }

export type Operation =
  | SimpleOperation
  /** All or nothing: the first refusal undoes the group. */
  | { readonly kind: 'linked'; readonly operations: readonly SimpleOperation[] }
  /** Alone in its request: raises the lane's number and returns the last entry that was no lookup [NC5]. */
  | { readonly kind: 'lookup' }
  /**
   * [D5] Alone in its request, and only of a replica: it lost its vote log. The request's number becomes its
   * incarnation; under that it votes only in `view` and above.
   */
  | { readonly kind: 'recover'; readonly view: View }

/** Why an operation was refused: deterministic, replicated, part of the digested reply. */
export type RefusalCode =
  | 'invalid-amount'
  | 'invalid-account-name'
  | 'invalid-name'
  | 'invalid-limit'
  | 'unknown-account'
  | 'unknown-owner'
  | 'account-exists'
  | 'same-account'
  | 'insufficient-funds'
  | 'balance-overflow'
  | 'not-authorised'
  | 'linked-aborted'

export const REFUSAL_CODES: readonly RefusalCode[] = [
  'invalid-amount',
  'invalid-account-name',
  'invalid-name',
  'invalid-limit',
  'unknown-account',
  'unknown-owner',
  'account-exists',
  'same-account',
  'insufficient-funds',
  'balance-overflow',
  'not-authorised',
  'linked-aborted',
]

/** Names one transfer for ever: the batch's seq and the transfer's place in it, from 0. */
export type TransferId = { readonly seq: Seq; readonly index: number }

export type HistoryEntry = TransferId & {
  readonly debit: AccountId
  readonly credit: AccountId
  readonly amount: bigint
}

export type OperationResult =
  | { readonly kind: 'opened'; readonly account: AccountId }
  | {
      readonly kind: 'transferred'
      readonly id: TransferId
      /** Balances right after this operation. */
      readonly debitBalance: bigint
      readonly creditBalance: bigint
    }
  /** `version`: the seq that last changed the row, 0 for a genesis row that never changed. */
  | { readonly kind: 'balance'; readonly account: AccountId; readonly balance: bigint; readonly version: Seq }
  | { readonly kind: 'history'; readonly entries: readonly HistoryEntry[] }
  | { readonly kind: 'linked'; readonly results: readonly OperationResult[] }
  | {
      /** The lane's last real entry; null when the lane never executed one. */
      readonly kind: 'lookup'
      readonly entry: {
        readonly number: RequestNumber
        readonly requestDigest: Digest
        readonly result: Uint8Array
      } | null
    }
  /** [D5] What the replica votes under from now on, and from which view on. */
  | { readonly kind: 'recovered'; readonly incarnation: RequestNumber; readonly view: View }
  | {
      readonly kind: 'refused'
      readonly code: RefusalCode
      /** What was refused, for people: an account, an amount. Deterministic. */
      readonly detail: string
      /** In a linked group: which operation caused it, from 0. */
      readonly index?: number
    }

/** A quorum read's answer for one account: version 0 and balance null when there is no such row [NC7]. */
export type ReadValue = {
  readonly account: AccountId
  readonly balance: bigint | null
  readonly version: Seq
}

/** Names a request for ever, in a form people can copy: see `formatRequestName`. */
export type RequestName = {
  readonly client: ClientId
  readonly lane: number
  readonly number: RequestNumber
  readonly digest: Digest
}

export const formatRequestName = (name: RequestName): string =>
  `${name.client}/${name.lane}/${name.number}/${name.digest}`

/** Undefined when `text` is no request name. */
export function parseRequestName(text: string): RequestName | undefined {
  const match = /^(\d{1,10})\/(\d{1,5})\/(\d{1,16})\/([0-9a-f]{64})$/.exec(text.trim())
  if (match === null) return undefined
  return {
    client: Number(match[1]) as ClientId,
    lane: Number(match[2]),
    number: Number(match[3]) as RequestNumber,
    digest: match[4] as Digest,
  }
}
