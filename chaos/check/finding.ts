/** What the checker says something about; a missing case does not compile. */
export const PROPERTIES = [
  'agreement',
  'chain',
  'proof',
  'validity',
  'exactly-once',
  'answers',
  'conservation',
  'replay',
  'monotonicity',
  'serializability',
  'linearizability',
] as const

export type PropertyName = (typeof PROPERTIES)[number]

export type Finding = {
  /** One line, for people. */
  readonly what: string
  readonly seq: number | null
  readonly replicas: readonly number[]
  /**
   * What explains it further, a line each: the batch, its operations that touch the row, who has which value, what the
   * model says.
   */
  readonly details: readonly string[]
}

/** What was looked at: sequence numbers, or, where a property is about a history, calls. */
export type Checked = { readonly from: number; readonly to: number; readonly count: number }

export type PropertyVerdict = 'pass' | 'fail' | 'unknown'

export type PropertyReport = {
  readonly property: PropertyName
  readonly verdict: PropertyVerdict
  /** It should have been known here: while it is unknown, so is the whole. */
  readonly isExpected: boolean
  readonly checked: Checked | null
  /** The first FINDINGS_MAX of them. */
  readonly findings: readonly Finding[]
  /** What was not looked at, and why. */
  readonly notChecked: readonly string[]
  /** What was looked at and is worth knowing, though nothing is wrong. */
  readonly notes: readonly string[]
}

/** A report names so many findings of one property; the first explains most of the others. */
export const FINDINGS_MAX = 20
