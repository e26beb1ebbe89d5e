/** What a run may not do. `kind` is stable; the message says who, where and what contradicts what. */
export type ViolationKind =
  | 'agreement'
  | 'executed-twice'
  | 'money'
  | 'authority'
  | 'promise-broken'
  | 'false-evidence'
  | 'not-durable'
  | 'wrong-answer'
  | 'stale-read'
  | 'real-time-order'
  | 'halted'
  | 'exception'
  | 'log-lost'
  | 'new-view'
  | 'state'
  | 'stuck'
  | 'not-equal'

export class Violation extends Error {
  override name = 'Violation'
  readonly kind: ViolationKind

  constructor(kind: ViolationKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}
