/**
 * What the paper that this experiment repeats reports for its own implementation: one client, half reads, half writes,
 * one line per number of iterations. It says nothing of its machine's speed, so that times are no race.
 */
export type PaperFigures = {
  readonly iterations: number
  readonly seconds: number
  readonly viewChanges: number
  readonly crashRecovers: number
  readonly accuracyPercent: number
}

export const PAPER: readonly PaperFigures[] = [
  { iterations: 1_000, seconds: 3.15, viewChanges: 3, crashRecovers: 0, accuracyPercent: 100 },
  { iterations: 5_000, seconds: 11.6, viewChanges: 4, crashRecovers: 1, accuracyPercent: 80 },
  { iterations: 10_000, seconds: 23.47, viewChanges: 5, crashRecovers: 2, accuracyPercent: 90 },
]
