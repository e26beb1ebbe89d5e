import { laneKey } from '../../../db/rows.ts'
import type { LaneEntry } from '../../../db/store.ts'
import type { PropertyReport } from '../finding.ts'
import { Tally } from '../tally.ts'

/** No request is executed twice, and numbers rise along each lane. */
export class ExactlyOnceCheck {
  readonly tally = new Tally('exactly-once')
  /** By lane: the highest number executed there, and where. */
  readonly #highest = new Map<number, { readonly number: number; readonly seq: number }>()
  #requests = 0

  /** `lanes`: one entry per executed request, in the order of execution. */
  onExecuted(seq: number, lanes: readonly Pick<LaneEntry, 'client' | 'lane' | 'number'>[]): void {
    this.tally.looked(seq)
    for (const { client, lane, number } of lanes) {
      this.#requests += 1
      const key = laneKey(client, lane)
      const before = this.#highest.get(key)
      if (before !== undefined && number <= before.number) {
        const name = `${client}/${lane}/${number}`
        this.tally.found({
          what:
            number === before.number
              ? `request ${name} was executed at seq ${before.seq} and again at seq ${seq}`
              : `request ${name} was executed at seq ${seq}, behind number ${before.number} of its lane at seq ${before.seq}`,
          seq,
        })
      } else this.#highest.set(key, { number, seq })
    }
  }

  report(): PropertyReport {
    if (this.#requests > 0)
      this.tally.note(`${this.#requests} requests executed on ${this.#highest.size} lanes`)
    return this.tally.report()
  }
}
