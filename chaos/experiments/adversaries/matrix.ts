import type { SimReport } from '../../sim/simulate.ts'
import { mean } from '../statistics.ts'
import type { Cell } from './cells.ts'

/** What the seeds of one cell came to. */
export type CellResult = Cell & {
  readonly failures: readonly {
    readonly seed: number
    readonly command: string
    readonly kind: string
    readonly message: string
  }[]
  /** Runs in which a liar said or did anything that an honest replica would not. */
  readonly lied: number
  /** Views entered beyond the first, mean over the runs of what one replica entered. */
  readonly viewChanges: number
  /** How much longer the same seeds took until the last request was answered than without liars; null: unknown. */
  readonly cost: number | null
}

/** One cell while its runs come in. */
export class CellTally {
  readonly #cell: Cell
  readonly #completeMs = new Map<number, number>()
  readonly #failures: CellResult['failures'][number][] = []
  readonly #views: number[] = []
  #lied = 0

  constructor(cell: Cell) {
    this.#cell = cell
  }

  get failed(): number {
    return this.#failures.length
  }

  add({ seed, command, failure, happenings, completeMs }: SimReport): void {
    if (failure !== null) this.#failures.push({ seed, command, kind: failure.kind, message: failure.message })
    if (completeMs !== null) this.#completeMs.set(seed, completeMs)
    if ((happenings['lie told'] ?? 0) > 0) this.#lied += 1
    this.#views.push((happenings['view entered'] ?? 0) / this.#cell.replicas)
  }

  /** `honest`: of the same seeds. */
  result(honest: CellTally | null): CellResult {
    return {
      ...this.#cell,
      failures: this.#failures,
      lied: this.#lied,
      viewChanges: mean(this.#views),
      cost: honest === null ? null : this.#costOver(honest),
    }
  }

  #costOver(honest: CellTally): number | null {
    let lied = 0
    let plain = 0
    for (const [seed, ms] of this.#completeMs) {
      const other = honest.#completeMs.get(seed)
      if (other === undefined) continue
      lied += ms
      plain += other
    }
    return plain === 0 ? null : lied / plain
  }
}
