import type { PropertyReport } from '../finding.ts'
import type { Call } from '../history/call.ts'
import type { AccountVersions, Span } from '../history/versions.ts'
import { Tally } from '../tally.ts'

/**
 * Strict serializability: what the log says is one order of all calls, and a call that began when another was answered
 * stands behind it there. A quorum read has no place in the log: its values must be those of one state, and that state
 * must not be older than what anybody had been told when the read began; later calls must not stand before it.
 *
 * The least that each read can have seen is assumed. That is the kindest reading: a contradiction then is one for every
 * place that the read could have.
 */
export class SerializabilityCheck {
  readonly tally = new Tally('serializability')
  readonly #versions: AccountVersions
  readonly #upTo: number
  /** The highest seq that somebody was told of, and by which call. */
  #known = 0
  #knownBy: Call | null = null
  /** By read under way: what was known when it began. */
  readonly #floors = new Map<number, Floor>()

  /** `upTo`: how far versions of accounts are known. */
  constructor(versions: AccountVersions, { upTo }: { readonly upTo: number }) {
    this.#versions = versions
    this.#upTo = upTo
  }

  /** Calls whose `seq` was found in the log, whether their callers know of it or not, and reads. */
  judge(calls: Iterable<Call>): void {
    const begins = [...calls].filter(({ outcome, seq }) => seq !== 0 || outcome === 'ok')
    const ends = begins.filter(isAnswered)
    begins.sort((a, b) => a.invokedUs - b.invokedUs)
    ends.sort((a, b) => a.endedUs - b.endedUs)
    let ended = 0
    const endThoseBefore = (atUs: number) => {
      // At one time, beginnings first: the two calls overlap then, and no order is demanded.
      for (let next = ends[ended]; next !== undefined && next.endedUs < atUs; next = ends[++ended])
        this.#end(next)
    }
    for (const call of begins) {
      endThoseBefore(call.invokedUs)
      this.#begin(call)
    }
    endThoseBefore(Number.POSITIVE_INFINITY)
  }

  #begin(call: Call): void {
    const floor = { seq: this.#known, by: this.#knownBy }
    if (call.request === null) this.#floors.set(call.call, floor)
    // Where it is not in the log, the answers' check says so.
    if (call.seq === 0) return
    this.tally.looked(call.call)
    if (call.seq > floor.seq) return
    this.tally.found({
      what: `call ${call.call} was executed at seq ${call.seq}, and when it began ${nameOf(floor.by)} had been answered with seq ${floor.seq}`,
      seq: call.seq,
      details: timesOf(call, floor.by),
    })
  }

  #end(call: Call): void {
    if (call.request !== null) {
      this.#raise(call.seq, call)
      return
    }
    const floor = this.#floors.get(call.call)
    this.#floors.delete(call.call)
    if (floor !== undefined && call.values !== null) this.#endRead(call, floor)
  }

  #endRead(call: Call, floor: Floor): void {
    const values = call.values ?? []
    if (values.some(({ version }) => version > this.#upTo)) {
      this.tally.doubt('reads of states beyond what could be replayed were not looked at')
      return
    }
    this.tally.looked(call.call)
    const spans: Span[] = []
    for (const { account, balance, version } of values) {
      const span = this.#versions.spanOf({ account, balance, version })
      if (span === undefined) {
        this.tally.found({
          what: `call ${call.call} read ${balance ?? 'no balance'} of ${account} at version ${version}, which never was`,
          seq: version,
        })
        return
      }
      spans.push(span)
    }
    const from = Math.max(0, ...spans.map((span) => span.from))
    const until = Math.min(...spans.map((span) => span.until))
    if (from >= until) {
      this.tally.found({
        what: `call ${call.call} read values that were never there together`,
        seq: from,
        details: values.map(
          ({ account, balance }, i) =>
            `${account} had ${balance ?? 'no balance'} from seq ${spans[i]?.from} to below ${spans[i]?.until}`,
        ),
      })
    } else if (until <= floor.seq) {
      this.tally.found({
        what: `call ${call.call} read a state before seq ${until}, and when it began ${nameOf(floor.by)} had been answered with seq ${floor.seq}`,
        seq: until,
        details: timesOf(call, floor.by),
      })
    }
    this.#raise(from, call)
  }

  #raise(seq: number, by: Call): void {
    if (seq <= this.#known) return
    this.#known = seq
    this.#knownBy = by
  }

  report(): PropertyReport {
    return this.tally.report()
  }
}

type Floor = { readonly seq: number; readonly by: Call | null }

const isAnswered = ({ outcome }: Call): boolean => outcome === 'ok' || outcome === 'executed'

const nameOf = (call: Call | null): string => (call === null ? 'nobody' : `call ${call.call}`)

const timesOf = (call: Call, before: Call | null): string[] =>
  before === null
    ? []
    : [
        `call ${before.call} of caller ${before.caller} ended at ${before.endedUs} µs`,
        `call ${call.call} of caller ${call.caller} began at ${call.invokedUs} µs`,
      ]
