import {
  type Checked,
  FINDINGS_MAX,
  type Finding,
  type PropertyName,
  type PropertyReport,
} from './finding.ts'

/** What one property came to so far. Without anything looked at it is unknown. */
export class Tally {
  readonly property: PropertyName
  readonly #findings: Finding[] = []
  readonly #notChecked = new Set<string>()
  readonly #notes = new Set<string>()
  #found = 0
  #from = Number.POSITIVE_INFINITY
  #to = 0
  #count = 0
  #isDoubtful = false
  #isExpected = false

  constructor(property: PropertyName) {
    this.property = property
  }

  /** One more was looked at: a sequence number, or a call. */
  looked(at: number): void {
    this.#from = Math.min(this.#from, at)
    this.#to = Math.max(this.#to, at)
    this.#count += 1
  }

  /** All of these were looked at. */
  lookedAt({ from, to, count }: Checked): void {
    this.#from = Math.min(this.#from, from)
    this.#to = Math.max(this.#to, to)
    this.#count += count
  }

  found(finding: Pick<Finding, 'what'> & Partial<Finding>): void {
    this.#found += 1
    if (this.#findings.length >= FINDINGS_MAX) return
    const { what, seq = null, replicas = [], details = [] } = finding
    this.#findings.push({ what, seq, replicas, details })
  }

  get hasFailed(): boolean {
    return this.#found > 0
  }

  /** What it needs is given: that it is unknown would leave the whole verdict unknown. */
  expect(): void {
    this.#isExpected = true
  }

  /** Something that should have been looked at was not: no pass. */
  doubt(why: string): void {
    this.#isDoubtful = true
    this.#notChecked.add(why)
  }

  /** Something was not looked at, lawfully: there is nothing to look at, or nobody asked. */
  leftOut(why: string): void {
    this.#notChecked.add(why)
  }

  note(what: string): void {
    this.#notes.add(what)
  }

  report(): PropertyReport {
    const more = this.#found - this.#findings.length
    if (more > 0) this.note(`${more} more were found than are named here`)
    const checked: Checked | null =
      this.#count === 0 ? null : { from: this.#from, to: this.#to, count: this.#count }
    const open = checked === null || this.#isDoubtful ? 'unknown' : 'pass'
    return {
      property: this.property,
      verdict: this.#found > 0 ? 'fail' : open,
      isExpected: this.#isExpected || this.#isDoubtful,
      checked,
      findings: this.#findings,
      notChecked: [...this.#notChecked],
      notes: [...this.#notes],
    }
  }
}

/** '0, 1 and 3', for people. */
export function listed(items: readonly (string | number)[]): string {
  const last = items.at(-1)
  if (last === undefined) return 'none'
  return items.length === 1 ? `${last}` : `${items.slice(0, -1).join(', ')} and ${last}`
}

export const replicasNamed = (ids: readonly number[]): string =>
  `${ids.length === 1 ? 'replica' : 'replicas'} ${listed([...ids].sort((a, b) => a - b))}`

/** As much of a digest as people compare. */
export const short = (digest: string): string => digest.slice(0, 16)
