import type { AnswerCheck } from './check/answer-check.ts'
import type { HistoryCheck } from './check/history-check.ts'
import type { PromiseCheck } from './check/promise-check.ts'

/** What is looked at after each event. */
export type Checks = {
  readonly history: HistoryCheck
  readonly promises: readonly PromiseCheck[]
  readonly answers: AnswerCheck
  /** No client waits for anything. */
  readonly isIdle: () => boolean
}
