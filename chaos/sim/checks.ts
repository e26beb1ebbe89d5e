import type { ReplicaId } from '../../protocol/types.ts'
import type { AnswerCheck } from './check/answer-check.ts'
import type { Certified } from './check/certified.ts'
import type { EvidenceCheck } from './check/evidence-check.ts'
import type { HistoryCheck } from './check/history-check.ts'
import type { PromiseCheck } from './check/promise-check.ts'
import type { ViewCheck } from './check/view-check.ts'
import type { Observer } from './observer.ts'

/** What is looked at after each event. */
export type Checks = {
  readonly history: HistoryCheck
  /** Null for who is made to contradict itself. */
  readonly promisesOf: (replica: ReplicaId) => PromiseCheck | null
  readonly views: ViewCheck
  readonly certified: Certified
  readonly evidence: EvidenceCheck
  readonly answers: AnswerCheck
  readonly observer: Observer
  /** No client waits for anything. */
  readonly isIdle: () => boolean
}
