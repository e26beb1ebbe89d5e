import { runSet, type SetOptions, type SetResult } from './run-set.ts'
import type { Scenario, ScenarioSet, Transaction } from './scenario.ts'
import { executedAt } from './slots.ts'
import type { Stage } from './stage.ts'

/** Of an earlier set that ended without it: it was held somewhere, and executed when there was a quorum again. */
export type LateTransaction = {
  readonly set: number
  readonly transaction: Transaction
  readonly seq: number
}

export type ScenarioResult = SetResult & { readonly late: readonly LateTransaction[] }

type Doubt = Omit<LateTransaction, 'seq'> & { readonly digest: Parameters<typeof executedAt>[0] }

/** The sets of a scenario, one at a time, on one stage. */
export class ScenarioRun {
  readonly #scenario: Scenario
  readonly #stage: Stage
  readonly #options: SetOptions & { readonly keepState: boolean }
  /** Sent, unanswered, and in no database when their set ended. Without its state none of them can come true. */
  #doubts: readonly Doubt[] = []

  constructor(scenario: Scenario, stage: Stage, options: SetOptions & { readonly keepState: boolean }) {
    this.#scenario = scenario
    this.#stage = stage
    this.#options = options
  }

  get sets(): readonly ScenarioSet[] {
    return this.#scenario.sets
  }

  async run(set: ScenarioSet): Promise<ScenarioResult> {
    const unanswered: Doubt[] = []
    const result = await runSet(set, this.#stage, {
      ...this.#options,
      onTold: (transaction, told) => {
        this.#options.onTold?.(transaction, told)
        if (told.kind !== 'unanswered') return
        unanswered.push({ set: set.number, transaction, digest: told.request.digest })
      },
    })
    const { replicas } = result.evidence
    const late = this.#doubts.flatMap(({ set, transaction, digest }): LateTransaction[] => {
      const seq = executedAt(digest, replicas)
      return seq === undefined ? [] : [{ set, transaction, seq }]
    })
    const open = [...this.#doubts, ...unanswered].filter(
      ({ digest }) => executedAt(digest, replicas) === undefined,
    )
    this.#doubts = this.#options.keepState ? open : []
    return { ...result, late }
  }
}
