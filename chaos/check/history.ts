import type { Operation, OperationResult, ReadValue, RequestName } from '../../protocol/operations.ts'

/** Which request a call travelled in, and which of its operations are the call's: `offset` to `offset + count - 1`. */
export type RequestPart = RequestName & { readonly offset: number; readonly count: number }

export type CallId = number

/**
 * What one call asked for, and what it was told. `atUs`: microseconds on one monotonic clock of the process that made all
 * calls of this history, so that 'before' means before. Every call has one 'invoke' and at most one of 'ok', 'fail' and
 * 'unknown'; one without any was under way when the history ended, and is unknown, too.
 */
export type HistoryEvent =
  | {
      readonly type: 'invoke'
      readonly atUs: number
      readonly call: CallId
      /** Who waits for the answer: one caller has one call under way at a time. */
      readonly caller: number
      readonly client: number
      readonly what:
        | { readonly kind: 'submit'; readonly operations: readonly Operation[] }
        | { readonly kind: 'read'; readonly accounts: readonly string[] }
    }
  /** Results of a submit: one per operation, refusals among them. */
  | {
      readonly type: 'ok'
      readonly atUs: number
      readonly call: CallId
      readonly request: RequestPart
      readonly results: readonly OperationResult[]
    }
  /** Values of a read; `request`: it went through the order; null: a quorum read [NC7]. */
  | {
      readonly type: 'ok'
      readonly atUs: number
      readonly call: CallId
      readonly request: RequestPart | null
      readonly values: readonly ReadValue[]
    }
  /** Certainly not executed; of a read: without an answer. */
  | { readonly type: 'fail'; readonly atUs: number; readonly call: CallId; readonly code: string }
  | {
      readonly type: 'unknown'
      readonly atUs: number
      readonly call: CallId
      readonly code: string
      readonly request: RequestPart
    }
  /** What a later lookup said of a call that was unknown. Its results are of the whole call. */
  | {
      readonly type: 'settled'
      readonly atUs: number
      readonly call: CallId
      readonly outcome: 'executed' | 'not-executed' | 'unknown'
      readonly results: readonly OperationResult[] | null
    }
