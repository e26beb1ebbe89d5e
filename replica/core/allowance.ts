import { isReplica, type PrincipalId } from '../../protocol/types.ts'
import type { Outbox } from './outbox.ts'

/**
 * [FS2] Signatures that one source may have verified in vain: at once, and each second. Replicas have more, since what
 * they relay is others' and many's. A replica owes what a PRE-PREPARE cost beyond that. A client owes nothing: where no
 * request was ordered for a while an honest one replaces many at once, and must be heard again soon.
 */
const CHECKS = {
  client: { least: 0, most: 16, perSecond: 4 },
  replica: { least: Number.NEGATIVE_INFINITY, most: 256, perSecond: 64 },
} as const

const kindOf = (source: PrincipalId) => (isReplica(source) ? CHECKS.replica : CHECKS.client)

type Left = { checks: number; atMs: number }

/** [FS2] Who made this replica verify in vain, how often of late. Bounded: of principals in genesis alone. */
export class Allowances {
  readonly #outbox: Outbox
  readonly #left = new Map<PrincipalId, Left>()

  constructor(outbox: Outbox) {
    this.#outbox = outbox
  }

  /** Whether this source may have something verified now, while so many of its checks have no verdict yet. */
  has(source: PrincipalId, pending = 0): boolean {
    return this.#of(source) - pending >= 1
  }

  /** `checks` of what this source sent were in vain. */
  spend(source: PrincipalId, checks: number): void {
    const left = Math.max(kindOf(source).least, this.#of(source) - checks)
    this.#left.set(source, { checks: left, atMs: this.#outbox.nowMs })
  }

  #of(source: PrincipalId): number {
    const { most, perSecond } = kindOf(source)
    const left = this.#left.get(source)
    if (left === undefined) return most
    return Math.min(most, left.checks + ((this.#outbox.nowMs - left.atMs) * perSecond) / 1_000)
  }
}
