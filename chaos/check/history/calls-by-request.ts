import { laneKey } from '../../../db/rows.ts'
import type { Lane, PrincipalId } from '../../../protocol/types.ts'
import type { Call } from './call.ts'

const NONE: readonly Call[] = []

/** The calls that travelled in each request; several share one. */
export class CallsByRequest {
  /** By lane and number; mostly there is one, and a million arrays of one would be a waste. */
  readonly #lanes = new Map<number, Map<number, Call | Call[]>>()

  constructor(calls: Iterable<Call>) {
    for (const call of calls) if (call.request !== null) this.#add(call)
  }

  of(client: PrincipalId, lane: Lane, number: number): readonly Call[] {
    const found = this.#lanes.get(laneKey(client, lane))?.get(number)
    if (found === undefined) return NONE
    return Array.isArray(found) ? found : [found]
  }

  #add(call: Call): void {
    if (call.request === null) return
    const { client, lane, number } = call.request
    const key = laneKey(client, lane as Lane)
    let numbers = this.#lanes.get(key)
    if (numbers === undefined) {
      numbers = new Map()
      this.#lanes.set(key, numbers)
    }
    const same = numbers.get(number)
    if (same === undefined) numbers.set(number, call)
    else if (Array.isArray(same)) same.push(call)
    else numbers.set(number, [same, call])
  }
}
