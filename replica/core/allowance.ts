import { isReplica, type PrincipalId } from '../../protocol/types.ts'
import type { Outbox } from './outbox.ts'

/**
 * [FS2] Signatures that one source may have verified in vain: at once, and each second. Replicas have more, since what
 * they relay is others' and many's.
 */
const CHECKS = {
  client: { most: 16, perSecond: 4 },
  replica: { most: 256, perSecond: 64 },
} as const

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

  /** `checks` of what this source sent were in vain; it may come to owe some. */
  spend(source: PrincipalId, checks: number): void {
    this.#left.set(source, { checks: this.#of(source) - checks, atMs: this.#outbox.nowMs })
  }

  #of(source: PrincipalId): number {
    const { most, perSecond } = isReplica(source) ? CHECKS.replica : CHECKS.client
    const left = this.#left.get(source)
    if (left === undefined) return most
    return Math.min(most, left.checks + ((this.#outbox.nowMs - left.atMs) * perSecond) / 1_000)
  }
}
