import type { AccountId, HistoryEntry, Role, TransferId } from '../protocol/operations.ts'
import type { Digest, Lane, PrincipalId, RequestNumber, Seq, View } from '../protocol/types.ts'

/**
 * The rows of the replicated tables. `version` is the seq that last changed the row, 0 from genesis: part of the
 * digested state [NC7]. Rows are values: a change makes a new one.
 */
export type AccountRow = {
  readonly id: AccountId
  /** Who may debit it beside tellers; null for the ledger's own external account, which nobody may. */
  readonly owner: PrincipalId | null
  readonly balance: bigint
  /** The seq that opened it, 0 from genesis: says whether it existed at an earlier seq. */
  readonly opened: Seq
  readonly version: Seq
  /** How many transfers it took part in, and the newest of them: the head of its history. */
  readonly entries: number
  readonly newest: TransferId | null
}

export type CustomerRow = {
  readonly owner: PrincipalId
  readonly name: string
  readonly address: string | null
  readonly version: Seq
}

export type PrincipalRow = {
  readonly id: PrincipalId
  readonly role: Role | 'replica'
  /** 32 bytes as hex. */
  readonly publicKey: string
  /** [D5] Under which a replica votes, and from which view on; both 0 from genesis. */
  readonly incarnation: number
  readonly incarnationView: View
  readonly version: Seq
}

/** What identifies a request on its lane. */
export type RequestMark = { readonly number: RequestNumber; readonly requestDigest: Digest }

/**
 * [NC5] What a lane's requests left. A lookup keeps the real entry below it, and its own reply is a function of that
 * entry, so that only its mark is kept.
 */
export type ClientRow = {
  readonly client: PrincipalId
  readonly lane: Lane
  /** The last request that was no lookup, and its encoded results; null when there was none. */
  readonly real: (RequestMark & { readonly result: Uint8Array }) | null
  /** The lookup that is the lane's latest request; null when that is `real`. */
  readonly lookup: RequestMark | null
  readonly version: Seq
}

/** `index` counts the transfers of a batch from 0. */
export type TransferRow = HistoryEntry & {
  /** The transfer's number in the debited account's history, from 1, and the one before it there. */
  readonly debitEntry: number
  readonly debitPrevious: TransferId | null
  readonly creditEntry: number
  readonly creditPrevious: TransferId | null
}

export type { ChainRow } from './store.ts'

/** One number per (client, lane), for maps: a lane is below 2^16 (LANES_MAX of genesis is less). */
export const laneKey = (client: PrincipalId, lane: Lane): number => client * 65_536 + lane

/** The lane's highest executed number; 0 when it has no row. */
export const laneNumber = (row: ClientRow | undefined): number =>
  row?.lookup?.number ?? row?.real?.number ?? 0
