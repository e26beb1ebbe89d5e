/** What the checker says of a run; only 'pass' counts as accurate. */
export type Judgement = {
  readonly verdict: 'pass' | 'fail' | 'unknown'
  /** For people; empty when it passed. */
  readonly why: readonly string[]
}
