import type { RequestPart } from '../check/history.ts'
import type { Transaction } from './scenario.ts'

/** What a client was told of its transaction by the time it stopped waiting. */
export type Told =
  | {
      readonly kind: 'executed'
      readonly seq: number
      readonly fromBalance: bigint
      readonly toBalance: bigint
    }
  /** The bank's answer: it was ordered, and nothing changed. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  | { readonly kind: 'balance'; readonly balance: bigint }
  /** Certain: nothing was sent, or it was a read that nobody answered. */
  | { readonly kind: 'not-executed'; readonly why: string }
  /** The stage broke off, and nobody can tell. */
  | { readonly kind: 'unknown'; readonly why: string }
  /** It was sent and not answered: the databases tell, or a later lookup. */
  | { readonly kind: 'unanswered'; readonly request: RequestPart }

/** What became of a transaction, when its set is over. */
export type Fate =
  | Exclude<Told, { readonly kind: 'unanswered' | 'executed' }>
  /** `isTold`: by its client; else by the databases of correct replicas. */
  | (Extract<Told, { readonly kind: 'executed' }> & { readonly isTold: boolean })
  /** By the logs of correct replicas; the client's next request took the place of the answer in their databases. */
  | { readonly kind: 'ordered'; readonly seq: number }

export type TransactionRecord = {
  readonly transaction: Transaction
  /** Since the set's first transaction was sent. */
  readonly startedMs: number
  /** Until the answer came, or nobody waited any longer. */
  readonly elapsedMs: number
  readonly fate: Fate
}

/** Whether a client got an answer, be it a refusal. */
export const isAnswered = ({ fate }: Pick<TransactionRecord, 'fate'>): boolean =>
  fate.kind === 'executed' ? fate.isTold : fate.kind === 'refused' || fate.kind === 'balance'
