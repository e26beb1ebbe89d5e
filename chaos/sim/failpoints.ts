import { FAILPOINTS, type Failpoint } from '../../replica/runtime/failpoints.ts'
import type { Random } from './random.ts'

/** Occurrences until an armed point strikes. */
const COUNT_MAX = 40

/** The points of one machine at which its replica is to die. Armed in pairs, the second waits for the restart. */
export class Failpoints {
  readonly #armed = new Map<string, { left: number; readonly strike: () => void }>()

  arm(point: Failpoint, args: { readonly count: number; readonly strike: () => void }): void {
    this.#armed.set(point, { left: args.count, strike: args.strike })
  }

  disarm(): void {
    this.#armed.clear()
  }

  pass(point: string): void {
    if (this.#armed.size === 0) return
    const armed = this.#armed.get(point)
    if (armed === undefined) return
    armed.left -= 1
    if (armed.left > 0) return
    this.#armed.delete(point)
    armed.strike()
  }
}

export const drawFailpoint = (random: Random): { readonly point: Failpoint; readonly count: number } => ({
  point: random.pick(FAILPOINTS),
  count: Math.round(random.skewed(1, COUNT_MAX)),
})
