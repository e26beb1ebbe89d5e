import type { SetEvidence } from './evidence.ts'
import type { Told } from './outcome.ts'
import type { ScenarioSet, Transaction } from './scenario.ts'

/** Where sets are played: real processes, or the simulator. One set at a time: begin, perform, end. */
export type Stage = {
  /**
   * From a fresh state, unless the state is kept: then replicas that were down start again, and those that are down now
   * are stopped. When it resolves, who is live serves, and who is byzantine lies.
   */
  begin(set: ScenarioSet): Promise<void>
  /** One transaction by its client, until it is answered or `patienceMs` are over. */
  perform(transaction: Transaction, patienceMs: number): Promise<Told>
  /** Waits for the live ones to get level, and says what there is. `expectsLevel`: within the bound they must. */
  end(set: ScenarioSet, options: { readonly expectsLevel: boolean }): Promise<SetEvidence>
  /** Milliseconds, of the clock that transactions are measured by. */
  nowMs(): number
  close(): Promise<void>
}

export type StageOptions = {
  readonly keepState: boolean
  /** A message as a replica sent or received it. */
  readonly onMessage?: ((line: string) => void) | undefined
}
