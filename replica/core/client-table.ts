import type { Reply, Request } from '../../protocol/messages.ts'
import type { PrincipalId, RequestNumber, Seq } from '../../protocol/types.ts'
import type { LaneEntry } from './event.ts'
import { isSameRequest } from './request-rules.ts'
import type { LaneKey, Waiting } from './waiting.ts'

const LANES = 65_536
const NO_LANES: ReadonlySet<LaneKey> = new Set()
export const laneKey = ({ client, lane }: { client: PrincipalId; lane: number }): LaneKey =>
  client * LANES + lane

export const clientOf = (key: LaneKey): PrincipalId => Math.floor(key / LANES) as PrincipalId

export type Standing =
  /** Already answered, or never to be ordered: this is the answer. */
  | { readonly kind: 'answered'; readonly outcome: Reply['outcome'] }
  /** In an open slot, or held here: an answer comes when it is executed. */
  | { readonly kind: 'ordered' }
  | { readonly kind: 'held' }
  | { readonly kind: 'new' }

/**
 * [NC5] What each (client, lane) executed last, [NC2] the highest request of each that waits to be proposed, and the
 * highest number that an accepted PRE-PREPARE holds. Bounded: one of each for a lane, lanes bounded by genesis.
 */
export class ClientTable {
  readonly #entries = new Map<LaneKey, LaneEntry>()
  /** In order of arrival. */
  readonly #held = new Map<LaneKey, Request>()
  readonly #ordered = new Map<LaneKey, { readonly number: RequestNumber; readonly seq: Seq }>()
  /** Of each client, the lanes of which something is held or ordered and not executed. */
  readonly #busy = new Map<PrincipalId, Set<LaneKey>>()
  readonly #waiting: Waiting

  constructor(waiting: Waiting) {
    this.#waiting = waiting
  }

  /** Takes the table as the database has it. */
  replace(entries: readonly LaneEntry[]): void {
    this.#entries.clear()
    for (const entry of entries) this.executed(entry)
  }

  standing(request: Request): Standing {
    const key = laneKey(request)
    const entry = this.#entries.get(key)
    if (entry !== undefined && request.number <= entry.number) {
      return { kind: 'answered', outcome: outcomeOf(request, entry) }
    }
    if (request.number <= (this.#ordered.get(key)?.number ?? 0)) return { kind: 'ordered' }
    const held = this.#held.get(key)
    if (held !== undefined && request.number <= held.number) return { kind: 'held' }
    return { kind: 'new' }
  }

  /** True when exactly this request, with this signature, was verified here and waits. */
  hasVerified(request: Request): boolean {
    const held = this.#held.get(laneKey(request))
    return held !== undefined && isSameRequest(held, request)
  }

  /** Keeps a verified request until it is ordered; a higher number on the lane replaces it. */
  hold(request: Request): void {
    const key = laneKey(request)
    this.#held.set(key, request)
    this.#waiting.add(key, request.number)
    this.#touch(key)
  }

  /** Another request of its lane waits to be ordered. */
  holdsAny(of: { readonly client: PrincipalId; readonly lane: number }): boolean {
    return this.#held.has(laneKey(of))
  }

  /** Another request of its lane is ordered, and not known to be committed. */
  isUnderWay(of: { readonly client: PrincipalId; readonly lane: number }, committedUpTo: number): boolean {
    return (this.#ordered.get(laneKey(of))?.seq ?? 0) > committedUpTo
  }

  /** Of which something is held, or ordered and not executed. */
  busyLanes(client: PrincipalId): ReadonlySet<LaneKey> {
    return this.#busy.get(client) ?? NO_LANES
  }

  #touch(key: LaneKey): void {
    const client = clientOf(key)
    const lanes = this.#busy.get(client) ?? new Set()
    if (this.#held.has(key) || this.#ordered.has(key)) lanes.add(key)
    else lanes.delete(key)
    if (lanes.size > 0) this.#busy.set(client, lanes)
    else this.#busy.delete(client)
  }

  /** What this lane holds is not asked for any more. */
  letGo(of: { readonly client: PrincipalId; readonly lane: number }): void {
    const key = laneKey(of)
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#waiting.executed(key, held.number)
    this.#touch(key)
  }

  /** What waits to be ordered, in order of arrival. */
  get held(): Iterable<Request> {
    return this.#held.values()
  }

  get heldCount(): number {
    return this.#held.size
  }

  /**
   * [FS4] Held requests, as many as fit: one of each client in turn, clients and a client's own in order of arrival. They
   * stay held until `ordered`. At least one, if any.
   */
  next({ operationsMax, bytesMax }: { operationsMax: number; bytesMax: number }): Request[] {
    const chosen: Request[] = []
    let operations = 0
    let bytes = 0
    for (const request of inTurn(this.#held.values())) {
      operations += request.operations.length
      bytes += request.body.length
      if (chosen.length > 0 && (operations > operationsMax || bytes > bytesMax)) break
      chosen.push(request)
    }
    return chosen
  }

  /** A batch with these requests was accepted at `seq`. */
  ordered(requests: readonly Request[], seq: Seq): void {
    for (const request of requests) {
      const key = laneKey(request)
      const { number } = request
      // A primary may order what was executed long ago: nobody waits for that, nor may a lane's next request [NC8] [FS3].
      if (number <= (this.#entries.get(key)?.number ?? 0)) continue
      this.#waiting.ordered(key, number, seq)
      if (number > (this.#ordered.get(key)?.number ?? 0)) this.#ordered.set(key, { number, seq })
      const held = this.#held.get(key)
      if (held !== undefined && held.number <= number) this.#held.delete(key)
      this.#touch(key)
    }
  }

  /** Another view: nothing is ordered in it yet. */
  unorder(): void {
    const keys = [...this.#ordered.keys()]
    this.#ordered.clear()
    for (const key of keys) this.#touch(key)
    this.#waiting.unorder()
  }

  /**
   * A batch with these requests was accepted, and lost its place to another: they are held again, as if they had just
   * come [VC6]. Else a primary that shows each backup another batch would have them all wait for one that never comes.
   */
  giveBack(requests: readonly Request[]): void {
    for (const request of requests) {
      const key = laneKey(request)
      if (this.#ordered.get(key)?.number === request.number) this.#ordered.delete(key)
      this.#touch(key)
      this.#waiting.displaced(key, request.number)
      if (this.standing(request).kind === 'new') this.hold(request)
    }
  }

  /** Executed. Returns the request that its lane holds next, to be relayed again [NC2]. */
  executed(entry: LaneEntry): Request | undefined {
    const key = laneKey(entry)
    this.#entries.set(key, entry)
    this.#waiting.executed(key, entry.number)
    if ((this.#ordered.get(key)?.number ?? 0) <= entry.number) this.#ordered.delete(key)
    const held = this.#held.get(key)
    if (held !== undefined && held.number <= entry.number) this.#held.delete(key)
    this.#touch(key)
    return this.#held.get(key)
  }
}

/** One of each client, then the second of each that has one, and so on. */
function* inTurn(requests: Iterable<Request>): Generator<Request> {
  let round = [...Map.groupBy(requests, ({ client }) => client).values()].map((own) => own.values())
  while (round.length > 0) {
    const left: typeof round = []
    for (const own of round) {
      const { value, done } = own.next()
      if (done === true) continue
      left.push(own)
      yield value
    }
    round = left
  }
}

function outcomeOf(request: Request, entry: LaneEntry): Reply['outcome'] {
  if (request.number < entry.number) return { kind: 'superseded', entryNumber: entry.number }
  if (request.digest !== entry.requestDigest) return { kind: 'number-reused' }
  return { kind: 'executed', result: entry.result }
}

/** The answer to a request, as every replica words it [NC6]. */
export function replyTo(
  request: Pick<Request, 'client' | 'lane' | 'number'> & { readonly requestDigest: Request['digest'] },
  outcome: Reply['outcome'],
): Reply {
  const { client, lane, number, requestDigest } = request
  return { type: 'reply', client, lane, number, requestDigest, outcome }
}
