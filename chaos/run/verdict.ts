/** 'inconclusive': nothing is wrong, but what the run is for did not happen, or could not be judged. */
export type RunVerdict = 'pass' | 'fail' | 'inconclusive'

/** A property of the checker, as far as a verdict needs it. */
export type JudgedProperty = {
  readonly property: string
  readonly verdict: 'pass' | 'fail' | 'unknown'
  /** While it is unknown, so is the whole. */
  readonly isExpected: boolean
  readonly findings: readonly string[]
  readonly notChecked: readonly string[]
}

/** An event that must have happened, or the run tested less than its name says. */
export type DemandOutcome = {
  readonly demand: string
  readonly count: number
  /** One that happened: where and when, in words; null: none did. */
  readonly example: string | null
}

export type RunEvidence = {
  readonly check: {
    readonly verdict: 'pass' | 'fail' | 'unknown'
    readonly properties: readonly JudgedProperty[]
  }
  /** What went wrong beside the data: a replica that ended by itself, a strike that failed, one that never recovered. */
  readonly incidents: readonly string[]
  readonly demands: readonly DemandOutcome[]
  readonly load: {
    /** Before the first fault; null: there was no fault. */
    readonly operationsPerSecond: number | null
    readonly floor: number
  }
  /** A signal ended it before its plan did. */
  readonly interrupted: boolean
}

/** `reasons`: why it is no pass, most important first; empty for a pass. */
export function judgeRun(evidence: RunEvidence): {
  readonly verdict: RunVerdict
  readonly reasons: readonly string[]
} {
  const wrong = [...failedProperties(evidence), ...evidence.incidents]
  const doubts = doubtsOf(evidence)
  const reasons = [...wrong, ...doubts]
  if (wrong.length > 0) return { verdict: 'fail', reasons }
  return { verdict: doubts.length > 0 ? 'inconclusive' : 'pass', reasons }
}

function failedProperties({ check }: RunEvidence): string[] {
  const failed = check.properties.filter(({ verdict }) => verdict === 'fail')
  const said = failed.map(({ property, findings }) => `${property}: ${findings[0] ?? 'does not hold'}`)
  return check.verdict === 'fail' && said.length === 0 ? ['the checker says that it failed'] : said
}

function doubtsOf({ check, demands, load, interrupted }: RunEvidence): string[] {
  const doubts = demands
    .filter(({ count }) => count === 0)
    .map(({ demand }) => `${demand} was demanded and never happened`)
  if (load.operationsPerSecond !== null && load.operationsPerSecond < load.floor) {
    doubts.push(
      `the load was ${Math.round(load.operationsPerSecond)} operations/s before the first fault, under its floor of ${load.floor}`,
    )
  }
  if (interrupted) doubts.push('it was interrupted before its plan ended')
  if (check.verdict === 'unknown') {
    const unknown = check.properties.filter(({ verdict, isExpected }) => verdict === 'unknown' && isExpected)
    doubts.push(
      ...unknown.map(({ property, notChecked }) => `${property}: ${notChecked[0] ?? 'not checked'}`),
    )
    if (unknown.length === 0) doubts.push('the checker could not tell')
  }
  return doubts
}
