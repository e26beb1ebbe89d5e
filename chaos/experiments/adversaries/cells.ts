import { BEHAVIOUR_NAMES, type Behaviour, type BehaviourName } from '../../../replica/byzantine/behaviour.ts'
import type { FaultSelection, SimOptions } from '../../sim/simulate.ts'

/** Some seeds with f liars that all do the same; `behaviours` null: whatever each seed draws. */
export type Cell = {
  readonly replicas: number
  readonly names: readonly BehaviourName[] | null
  readonly runs: number
}

export type Campaigns = {
  readonly replicas: readonly number[]
  /** Seeds of each behaviour alone, of each pair, and of liars and faults that each seed draws. */
  readonly alone: number
  readonly pairs: number
  readonly swarm: number
}

/** Correct replicas crash, primaries are cut off, and the network loses and cuts, beside the liars. */
const FAULTS: FaultSelection = [
  'loss',
  'duplication',
  'reorder',
  'partition',
  'lonely-primary',
  'crash',
  'absence',
]
const SIZE = { clients: 4, requests: 60 }

/** Every behaviour alone, every pair of two, and the swarm, at each size. */
export function cellsOf({ replicas: sizes, alone, pairs, swarm }: Campaigns): Cell[] {
  const couples = BEHAVIOUR_NAMES.flatMap((one, index) =>
    BEHAVIOUR_NAMES.slice(index + 1).map((two) => [one, two]),
  )
  return sizes.flatMap((replicas): Cell[] =>
    [
      ...BEHAVIOUR_NAMES.map((name) => ({ replicas, names: [name], runs: alone })),
      ...couples.map((names) => ({ replicas, names, runs: pairs })),
      { replicas, names: null, runs: swarm },
    ].filter(({ runs }) => runs > 0),
  )
}

type Campaign = Omit<SimOptions, 'seed' | 'trace' | 'sabotage'> & {
  readonly fromSeed: number
  readonly runs: number
}

export function campaignOf({ replicas, names, runs }: Cell, fromSeed: number): Campaign {
  const shared = { ...SIZE, replicas, runs, fromSeed }
  if (names === null) return { ...shared, faults: 'swarm' }
  return { ...shared, faults: FAULTS, byzantine: { behaviours: names.map(aimless) } }
}

/** The same seeds without a liar: what the liars cost is measured against it. */
export const honestCampaign = ({ replicas, runs }: Omit<Cell, 'names'>, fromSeed: number): Campaign =>
  campaignOf({ replicas, names: [], runs }, fromSeed)

const aimless = (name: BehaviourName): Behaviour => ({ name, targets: [] })
